/**
 * Writes what one transaction of a writer has to write, and locks what that is about first, in the order in which all do: claims, the
 * log where it brings ids, places. Nobody waits for the process meanwhile. It gives the offsets that places had, by which everything
 * counts that it was given, and how many ids there were; nulls where what the writer took for granted does not hold, and then it has
 * changed nothing: that its claims are its own, that all places are there, that there is room, and that none of its ids may be one that
 * others have written behind those that it knows. A writer that has locked all that looked itself, and the transaction fails.
 */
export const createWriteFunction = `
create function write_batch(
  is_locked boolean,
  claim_groups integer[], claim_partitions integer[], claim_epochs bigint[],
  most_bytes double precision,
  place_topics text[], place_partitions integer[], place_records integer[], place_bytes bigint[], place_times double precision[],
  block_bytes bytea, block_places integer[], block_offsets bigint[], block_times double precision[], block_appended bigint[],
  block_checksums bigint[], block_starts integer[], head_sizes integer[], block_sizes integer[],
  known_ids bigint, new_ids bytea, new_lows integer[], ids_at double precision,
  delete_groups integer[], delete_partitions integer[], delete_keys bytea[],
  put_bytes bytea, put_groups integer[], put_partitions integer[], put_keys bytea[], put_checksums bigint[],
  put_starts integer[], put_sizes integer[],
  need_places integer[], need_groups integer[], need_offsets bigint[],
  writer_id text, writer_batch bigint, news_channel text,
  out ids_before bigint, out topic_ids integer[], out ends bigint[]
) language plpgsql as $$
declare
  fenced_batch bigint;
  at_topics integer[];
  at_ends bigint[];
  at_bytes bigint[];
  at_times double precision[];
  holds boolean := false;
  news text;
begin
  -- Who asks what became of a transaction waits for this row, and where it has not begun yet it never will.
  select w.fenced into fenced_batch from writer w where w.id = writer_id for no key update;
  if fenced_batch >= writer_batch then
    raise exception 'the transaction comes too late';
  end if;
  <<checks>>
  begin
    exit checks when cardinality(claim_groups) > 0 and cardinality(claim_groups) > (
      select count(*) from (
        select c.epoch, w.epoch as wanted
        from unnest(claim_groups, claim_partitions, claim_epochs) as w (group_id, partition, epoch)
        join claim c on c.group_id = w.group_id and c.partition = w.partition
        order by c.group_id, c.partition for share of c
      ) as held where epoch = wanted
    );
    if cardinality(new_lows) > 0 then
      select l.id_count into ids_before from log l for no key update;
      exit checks when ids_before < known_ids or ids_before > known_ids and (
        select bool_or(low is null or low in (select unnest(new_lows)))
        from id_batch i cross join unnest(coalesce(i.lows, array[null::integer])) as low
        where i.sequence > known_ids
      );
    end if;
    select array_agg(topic_id order by nth), array_agg(end_offset order by nth), array_agg(appended_bytes order by nth),
      array_agg(last_time_ms order by nth)
    into at_topics, at_ends, at_bytes, at_times
    from (
      select w.nth, p.topic_id, p.end_offset, p.appended_bytes, p.last_time_ms
      from unnest(place_topics, place_partitions) with ordinality as w (name, partition, nth)
      join topic t on t.name = w.name
      join place p on p.topic_id = t.id and p.partition = w.partition
      order by p.topic_id, p.partition for no key update of p
    ) as locked;
    exit checks when cardinality(place_topics) > coalesce(cardinality(at_topics), 0) or most_bytes < (
      select coalesce(sum(p.appended_bytes - p.trimmed_bytes), 0) from place p
    ) + (select coalesce(sum(bytes), 0) from unnest(place_bytes) as bytes);
    holds := true;
  end;
  if not holds then
    if is_locked then
      raise exception 'what is locked has changed';
    end if;
    ids_before := null;
    return;
  end if;
  ids_before := coalesce(ids_before, 0);
  at_topics := coalesce(at_topics, '{}');
  at_ends := coalesce(at_ends, '{}');
  with blocks as (
    insert into record_block (topic_id, partition, "offset", time_ms, appended_bytes, checksum, head, value, least_time_ms)
    select at_topics[w.place], place_partitions[w.place], at_ends[w.place] + w."offset", greatest(w.time_ms, at_times[w.place]),
      at_bytes[w.place] + w.appended, w.checksum, substring(block_bytes from w.start for w.head_size),
      substring(block_bytes from w.start + w.head_size for w.size), at_times[w.place]
    from unnest(block_places, block_offsets, block_times, block_appended, block_checksums, block_starts, head_sizes, block_sizes)
      as w (place, "offset", time_ms, appended, checksum, start, head_size, size)
  ), grown as (
    update place p set end_offset = p.end_offset + w.records, appended_bytes = p.appended_bytes + w.bytes,
      last_time_ms = greatest(p.last_time_ms, w.time_ms)
    from unnest(at_topics, place_partitions, place_records, place_bytes, place_times)
      as w (topic_id, partition, records, bytes, time_ms)
    where p.topic_id = w.topic_id and p.partition = w.partition and w.records > 0
  ), ids as (
    insert into id_batch (sequence, at_ms, ids, lows, topic_ids, ends)
    select ids_before + cardinality(new_lows), ids_at, new_ids, new_lows, at_topics, at_ends where cardinality(new_lows) > 0
  ), id_count as (
    update log set id_count = ids_before + cardinality(new_lows) where cardinality(new_lows) > 0
  ), deleted as (
    delete from state s using unnest(delete_groups, delete_partitions, delete_keys) as w (group_id, partition, key)
    where s.group_id = w.group_id and s.partition = w.partition and s.key = w.key
  ), put as (
    insert into state (group_id, partition, key, checksum, value)
    select w.group_id, w.partition, w.key, w.checksum, substring(put_bytes from w.start for w.size)
    from unnest(put_groups, put_partitions, put_keys, put_checksums, put_starts, put_sizes)
      as w (group_id, partition, key, checksum, start, size)
    on conflict (group_id, partition, key) do update set checksum = excluded.checksum, value = excluded.value
  ), needs as (
    insert into need (topic_id, partition, group_id, "offset")
    select at_topics[w.place], place_partitions[w.place], w.group_id, w."offset"
    from unnest(need_places, need_groups, need_offsets) as w (place, group_id, "offset")
    on conflict (topic_id, partition, group_id) do update set "offset" = excluded."offset"
  )
  insert into writer (id, batch, ids_before, topic_ids, ends)
  values (writer_id, writer_batch, ids_before, at_topics, at_ends)
  on conflict (id) do update set batch = excluded.batch, at = now(),
    ids_before = excluded.ids_before, topic_ids = excluded.topic_ids, ends = excluded.ends;
  select case when count(*) > 200 then 'places'
    else 'grown ' || string_agg(w.topic_id || '.' || w.partition || '.' || w.before + w.records, ' ') end
  into news
  from unnest(at_topics, place_partitions, at_ends, place_records) as w (topic_id, partition, before, records)
  where w.records > 0;
  if news is not null then
    perform pg_notify(news_channel, news);
  end if;
  topic_ids := at_topics;
  ends := at_ends;
end $$;
`
