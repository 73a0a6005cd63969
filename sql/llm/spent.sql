-- Paid since an hour, and reserved by calls and batches under way.
select
  coalesce((
    select sum(cost + presumed_cost) from ledger
    where endpoint = :endpoint and model = :model and hour >= :since
  ), 0),
  coalesce((select sum(reserved) from claims where endpoint = :endpoint and model = :model), 0)
  + coalesce((
    select sum(reserved) from batches
    where endpoint = :endpoint and model = :model and state in ('handing over', 'pending')
  ), 0)
