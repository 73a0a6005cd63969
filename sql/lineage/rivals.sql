-- Rows that wanted the same place: one row per target, instance and other instance that shares concepts with it.
-- `overlap` is the mass that they have in common at the leaves (1 where both are about the same things in the same measure).
-- `rival_rank` is null where the rival was not picked. Always filter by `instance_id`: over all pairs this is a large table.
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
