"""What `recipe data` shows of the rows, as the model will see them."""
