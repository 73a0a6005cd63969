-- Instances at a line of a file, which may be named by the end of its path.
select instance_id, id, source, file, line, language, prompt_tokens, response_tokens, messages
from raw_instances
where line = $line and (file = $file or ends_with(file, '/' || $file))
order by file
limit 6
