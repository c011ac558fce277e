"""READ a server: typed values from pure parsers. "Nothing there" and "could not look" differ."""
