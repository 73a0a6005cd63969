-- Each selection at a glance: one row per target, with rows and tokens selected and available, quality of selection and pool,
-- number of sources, languages and leaves, value, and the concept that contributed most.
with pool as (
    select count(*) as rows_eligible, avg(quality) as pool_quality
    from instance_scores
    where eligible
),

picks as (
    select
        target,
        count(*) as rows_selected,
        sum(prompt_tokens::bigint + response_tokens) as tokens_selected,
        avg(quality) as quality,
        count(distinct source) as sources,
        count(distinct language) as languages,
        sum(gain) as gain
    from selected_subset
    group by target
),

leaves as (
    select picked.target, count(distinct held.node_id) as leaves_touched
    from selected_subset as picked
    join grounded_instances as held on held.instance_id = picked.instance_id
    group by picked.target
),

concepts as (
    select parts.target, arg_max(node.path, parts.amount) as top_concept
    from (select target, node_id, sum(amount) as amount from selection_attribution group by all) as parts
    join knowledge_tree as node on node.node_id = parts.node_id and node.parent_id is not null
    group by parts.target
)

select
    picks.target,
    picks.rows_selected,
    pool.rows_eligible,
    picks.rows_selected / nullif(pool.rows_eligible, 0) as share_of_pool,
    picks.tokens_selected,
    picks.quality,
    pool.pool_quality,
    picks.sources,
    picks.languages,
    leaves.leaves_touched,
    picks.gain,
    concepts.top_concept
from picks
cross join pool
left join leaves on leaves.target = picks.target
left join concepts on concepts.target = picks.target
