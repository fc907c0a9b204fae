-- Versions of an agent besides the one that is current, by version; and from when on which share of new runs gets which version:
-- [{sinceMs, weights: {version: weight}}], the newest last.
ALTER TABLE agents ADD COLUMN versions json NOT NULL DEFAULT '{}', ADD COLUMN rollouts json NOT NULL DEFAULT '[]';
