-- How far clients with a webhook have been told of a feed, and the notice that is under way.

CREATE TABLE IF NOT EXISTS webhook (
    client TEXT NOT NULL,
    feed TEXT NOT NULL, -- records or messages
    told INTEGER NOT NULL, -- position up to which a notice was taken
    notice TEXT, -- id of the notice under way; stays until that is taken
    noticed_at TEXT, -- when it was made
    upto INTEGER, -- position up to which it tells
    failures INTEGER NOT NULL, -- of it
    next_at TEXT NOT NULL, -- nobody sends before: a pause, or the lease of who sends now
    worker TEXT NOT NULL, -- who sent last
    PRIMARY KEY (client, feed)
) STRICT;
