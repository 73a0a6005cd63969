-- Answers of language models, paid for once. Keys are hashes; neither prompts nor rows nor API keys are kept here.

create table if not exists answers (
  key blob primary key,
  content text not null,
  finish text not null,            -- why the model stopped: stop, length, refusal, content_filter
  cut integer not null,            -- 1: the row was longer than the context and was cut
  prompt_tokens integer not null,
  completion_tokens integer not null,
  answered_at real not null,
  checksum blob                    -- none: kept before there were checksums
) without rowid;

-- Rows that failed for good, asked again on request only.
create table if not exists failures (
  key blob primary key,
  reason text not null,
  failed_at real not null
) without rowid;

-- Calls under way: who makes them, when it last gave a sign of life, and what they may cost at most.
create table if not exists claims (
  key blob primary key,
  owner text not null,
  endpoint text not null,
  model text not null,
  reserved real not null,
  prompt_tokens real not null,
  beat real not null
) without rowid;

-- What was paid in each hour. Presumed: of calls whose reply was lost, at most.
create table if not exists ledger (
  hour integer not null,
  endpoint text not null,
  model text not null,
  calls integer not null,
  prompt_tokens integer not null,
  completion_tokens integer not null,
  cost real not null,
  presumed_cost real not null,
  primary key (hour, endpoint, model)
) without rowid;

-- What was found out about a server.
create table if not exists servers (
  endpoint text not null,
  model text not null,
  name text not null,
  value text not null,
  primary key (endpoint, model, name)
) without rowid;

-- Batches handed to a Batch API. Without an id: the hand-over was begun and its end is not known.
create table if not exists batches (
  submission text primary key,
  batch_id text,
  endpoint text not null,
  model text not null,
  requests integer not null,
  reserved real not null,
  state text not null,             -- handing over, pending, collected, lost
  submitted_at real not null
) without rowid;

-- What a batch asks: the key of each answer, and the key under which a failure would be recorded.
create table if not exists batch_items (
  submission text not null references batches (submission),
  key blob not null,
  first_key blob not null,
  cut integer not null,
  primary key (submission, key)
) without rowid;

create index if not exists batch_items_by_key on batch_items (key);

-- Vectors of texts, float32 little-endian.
create table if not exists vectors (
  key blob primary key,
  vector blob not null,
  checksum blob
) without rowid;
