-- Rows that competed for the same place: one row per target, instance and other instance with common concepts.
-- `overlap` is the mass that both share at the leaves; 1 means the same concepts in the same proportions.
-- `rival_rank` is null if the rival was not picked. Always filter by `instance_id`: the view over all pairs is large.
with shared as (
    select one.instance_id, other.instance_id as rival_id, sum(least(one.mass, other.mass)) as overlap
    from grounded_instances as one
    join grounded_instances as other on other.node_id = one.node_id and other.instance_id <> one.instance_id
    group by all
)

select
    targets.target,
    shared.instance_id,
    shared.rival_id,
    shared.overlap,
    rival.id as rival_name,
    rival.source as rival_source,
    scores.quality as rival_quality,
    picked.rank as rival_rank,
    picked.gain as rival_gain
from shared
cross join (select distinct target from selected_subset) as targets
join raw_instances as rival on rival.instance_id = shared.rival_id
left join instance_scores as scores on scores.instance_id = shared.rival_id
left join selected_subset as picked on picked.target = targets.target and picked.instance_id = shared.rival_id
