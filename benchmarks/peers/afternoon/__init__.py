"""The afternoon version: what a good developer writes between lunch and dinner, with the usual libraries."""
