INSERT INTO last_sign_ins (account_id, at) VALUES
(6, '2026-11-21T08:00:00Z');
INSERT INTO nonces (consumer_key, nonce, expires_at) VALUES
('springfield-canvas', 'n-1', '2026-11-21T09:00:00Z');
INSERT INTO sessions (token_hash, account_id, data, created_at, expires_at) VALUES
('0a0b', 6, '{}', '2026-11-21T08:00:00Z', '2026-12-21T08:00:00Z');
INSERT INTO throttles (key, window_start, attempts) VALUES
('sign-in:ada', '2026-11-21T08:00:00Z', 2);
