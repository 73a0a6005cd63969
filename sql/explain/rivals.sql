-- Rows that share concepts with one instance: picks first, then by what they share.
select rival_id, rival_name, rival_source, overlap, rival_quality, rival_rank, rival_gain
from rivals
where instance_id = $instance_id and target = $target
order by rival_rank is null, round(overlap, 9) desc, rival_rank, rival_id
limit $most
