"""Given answers by their likelihood: label search over a trie in packed passes."""
