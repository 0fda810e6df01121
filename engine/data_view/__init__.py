"""The rows that `recipe data` shows, as the model will see them."""
