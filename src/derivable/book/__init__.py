"""How the book is made: chapters and their notebooks, execution, checks, the ledger, a server for the pages."""
