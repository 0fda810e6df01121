"""What several tests use and what is no test: projects, models and files made for them, suites, servers."""
