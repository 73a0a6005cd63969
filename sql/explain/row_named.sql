-- Instances that a person may mean by an `instance_id` or by their own `id`.
select instance_id, id, source, file, line, language, prompt_tokens, response_tokens, messages
from raw_instances
where instance_id = $row or id = $row
order by file, line
limit 6
