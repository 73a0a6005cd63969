-- Keeps an answer with its checksum, over an older one.
insert or replace into answers
  (key, content, finish, cut, prompt_tokens, completion_tokens, answered_at, checksum)
values (?, ?, ?, ?, ?, ?, ?, ?)
