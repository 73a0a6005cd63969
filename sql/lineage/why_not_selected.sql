-- Why a row is not selected: one row per target and unselected row of the pool. Lines that could not be read have a file and a line,
-- but no instance_id. `why` is `rejected`, `filtered`, `duplicate`, `near_duplicate`, `untagged`, `not_eligible`, `excluded` or
-- `below_min_quality` (the last two by the target's file), or `not_picked`; `detail` says it in words. For rows that were not picked,
-- other rows added more for the same budget; `rivals` shows which.
with targets as (
    select target, count(*) as picks, min(gain) as least_gain
    from selected_subset
    group by target
),

left_out as (
    select
        targets.target,
        raw.instance_id,
        raw.id,
        raw.source,
        raw.file,
        raw.line,
        scores.quality,
        case
            when filtered.instance_id is not null then 'filtered'
            when raw.near_duplicate then 'near_duplicate'
            when raw.duplicate_of is not null then 'duplicate'
            when tagged.instance_id is null then 'untagged'
            when not scores.eligible then 'not_eligible'
            when own.why is not null then own.why
            else 'not_picked'
        end as why,
        case
            when filtered.instance_id is not null then concat_ws(': ', 'rule ' || filtered.rule, filtered.detail)
            when raw.near_duplicate then 'nearly the same as ' || coalesce(raw.duplicate_of, 'another row')
            when raw.duplicate_of is not null then 'the same as ' || raw.duplicate_of
            when tagged.instance_id is null then 'it has no tag, so it is not in the tree'
            when not scores.eligible then 'instance_scores marks it as ineligible'
            when own.why is not null then own.detail
            else format('{} rows added more', targets.picks)
        end as detail
    from raw_instances as raw
    cross join targets
    left join filtered_rows as filtered on filtered.instance_id = raw.instance_id
    left join (select distinct instance_id from grounded_instances) as tagged on tagged.instance_id = raw.instance_id
    left join instance_scores as scores on scores.instance_id = raw.instance_id
    left join selected_subset_left_out as own on own.target = targets.target and own.instance_id = raw.instance_id
    anti join selected_subset as picked on picked.target = targets.target and picked.instance_id = raw.instance_id
)

select target, instance_id, id, source, file, line, why, detail, quality
from left_out
union all
select targets.target, null, null, null, rejected.file, rejected.line, 'rejected', rejected.reason, null
from rejected_rows as rejected
cross join targets
