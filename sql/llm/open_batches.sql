-- Batches of an account that are not settled, the oldest first.
select submission, batch_id, requests, reserved, submitted_at
from batches
where endpoint = ? and model = ? and state in ('handing over', 'pending')
order by submitted_at, submission
