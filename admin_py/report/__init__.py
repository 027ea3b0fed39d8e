"""A study as one HTML page: pictures, tables and sentences, a file a topic."""
