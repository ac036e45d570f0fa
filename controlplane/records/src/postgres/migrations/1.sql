-- Records. Every table is keyed by account first, '' being the pool, so that it can be distributed by account.
-- What objects say is in `body`, as src/codec.rs writes it.

CREATE TABLE records.store (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint NOT NULL
);
COMMENT ON TABLE records.store IS 'One row; whoever commits locks it, so that versions are without gaps';
INSERT INTO records.store (version) VALUES (0);

CREATE TABLE records.object (
    account text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    key bytea NOT NULL,
    says bytea,
    version bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (account, kind, key)
);
COMMENT ON TABLE records.object IS
    'Kinds: 1 account, 2 grant, 3 radio, 4 service, 5 client, 6 binding, 7 contract. The body of an account has its key';
CREATE UNIQUE INDEX object_says ON records.object (account, kind, says) WHERE says IS NOT NULL;
-- Few of these; bindings and contracts are always looked for within their account.
CREATE INDEX object_by_key ON records.object (kind, key) WHERE kind < 6;

CREATE TABLE records.last_id (
    account text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    id bigint NOT NULL,
    PRIMARY KEY (account, kind)
);

CREATE TABLE records.change (
    account text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    place integer NOT NULL,
    kind smallint NOT NULL,
    key bytea NOT NULL,
    body bytea,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, version, place)
);
COMMENT ON TABLE records.change IS 'The last changes, for control processes that follow; no body: deleted';
CREATE INDEX change_by_version ON records.change (version);

CREATE TABLE records.session (
    account text COLLATE "C" NOT NULL,
    session bytea NOT NULL,
    client bytea NOT NULL,
    service bytea NOT NULL,
    radio bytea NOT NULL,
    radio_account text COLLATE "C" NOT NULL,
    first bigint NOT NULL,
    radio_sequence bigint,
    radio_up_octets bigint,
    radio_down_octets bigint,
    radio_up_packets bigint,
    radio_down_packets bigint,
    radio_seconds bigint,
    radio_rssi_dbm integer,
    radio_ended boolean,
    radio_at bigint,
    service_sequence bigint,
    service_up_octets bigint,
    service_down_octets bigint,
    service_up_packets bigint,
    service_down_packets bigint,
    service_seconds bigint,
    service_rssi_dbm integer,
    service_ended boolean,
    service_at bigint,
    PRIMARY KEY (account, session, client)
);
COMMENT ON TABLE records.session IS
    'Accounting: what the radio and what the service said last. Times are Unix times in milliseconds';
CREATE INDEX session_by_time ON records.session (first, account, session, client);
CREATE INDEX session_by_account ON records.session (account, first);
CREATE INDEX session_by_radio_account ON records.session (radio_account, first);
CREATE INDEX session_by_radio ON records.session (radio, first);
CREATE INDEX session_by_service ON records.session (service, first);
