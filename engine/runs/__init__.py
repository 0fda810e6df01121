"""What a verb does, importable: whole runs, and finding what they left."""
