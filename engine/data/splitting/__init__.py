"""Rows divided into train, validation and holdout: at random, by class, group, column, time or fold."""
