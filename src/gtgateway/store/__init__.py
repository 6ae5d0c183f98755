"""The archive: messages, records, deliveries and feeds, each change in one transaction."""
