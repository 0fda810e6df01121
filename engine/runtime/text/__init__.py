"""Models and indexes of plain text without a language model: TF-IDF, SVM, near-duplicates."""
