-- How far clients with a webhook have been told of a feed, and the notice that is under way.

CREATE TABLE IF NOT EXISTS webhook (
    client text NOT NULL,
    feed text NOT NULL, -- records or messages
    told bigint NOT NULL, -- position up to which a notice was taken
    notice text, -- id of the notice under way; stays until that is taken
    noticed_at text, -- when it was made
    upto bigint, -- position up to which it tells
    failures integer NOT NULL, -- of it
    next_at text COLLATE "C" NOT NULL, -- nobody sends before: a pause, or the lease of who sends now
    worker text NOT NULL, -- who sent last
    PRIMARY KEY (client, feed)
);
