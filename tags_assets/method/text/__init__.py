"""What of a row's text is read: word lists, grammatical number, what is embedded."""
