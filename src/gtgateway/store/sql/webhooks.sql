-- name: notice_due
-- Whether `claim_notice` may find something: most times it does not, and then nothing is written.
SELECT NOT EXISTS (
    SELECT 1 FROM webhook
    WHERE client = :client AND feed = :feed AND (next_at > :now OR (notice IS NULL AND told >= :newest))
);

-- name: claim_notice
-- The notice under way goes on unchanged, whatever came since: who took it already looks at its id only.
INSERT INTO webhook (client, feed, told, notice, noticed_at, upto, failures, next_at, worker)
VALUES (:client, :feed, 0, :notice, :now, :newest, 0, :until, :worker)
ON CONFLICT (client, feed) DO UPDATE
SET notice = coalesce(webhook.notice, excluded.notice),
    noticed_at = CASE WHEN webhook.notice IS NULL THEN excluded.noticed_at ELSE webhook.noticed_at END,
    upto = CASE WHEN webhook.notice IS NULL THEN excluded.upto ELSE webhook.upto END,
    next_at = excluded.next_at, worker = excluded.worker
WHERE webhook.next_at <= excluded.noticed_at AND (webhook.notice IS NOT NULL OR webhook.told < excluded.upto)
RETURNING notice, noticed_at, told, failures;

-- name: notice_taken
UPDATE webhook SET told = upto, notice = NULL, noticed_at = NULL, upto = NULL, failures = 0, next_at = :now
WHERE client = :client AND feed = :feed AND notice = :notice AND worker = :worker;

-- name: notice_failed
UPDATE webhook SET failures = failures + 1, next_at = :next_at
WHERE client = :client AND feed = :feed AND notice = :notice AND worker = :worker;
