-- What the tables promise beyond their columns: the ledger's balance, history that stays, months that close once.
-- Conditions raised here carry SQLSTATEs of their own: FL001 the month is not open, FL002 a row that must not change.

-- Ids -----------------------------------------------------------------------------------------------------------------

CREATE SEQUENCE id_tail AS bigint CYCLE;
--> statement-breakpoint
-- 64 bits, ordered by time: milliseconds, then 16 bits of a counter. Read as decimal text they sort by length and order.
CREATE FUNCTION new_id(at timestamptz) RETURNS bigint LANGUAGE sql VOLATILE PARALLEL UNSAFE AS $$
  SELECT (floor(extract(epoch FROM at) * 1000)::bigint << 16) | (nextval('id_tail') & 65535)
$$;
--> statement-breakpoint

-- Months --------------------------------------------------------------------------------------------------------------

CREATE FUNCTION period_of(at timestamptz) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (extract(year FROM at AT TIME ZONE 'UTC') * 100 + extract(month FROM at AT TIME ZONE 'UTC'))::integer
$$;
--> statement-breakpoint
-- Joins the open month. Everything that could change a month's result holds this lock until it is committed; the
-- freeze takes it alone, so it waits for whoever came in time, and whoever comes later finds the month frozen.
CREATE FUNCTION enter_period(month integer) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE found_state text;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(1179403636, month);
  SELECT state INTO found_state FROM period WHERE id = month;
  IF found_state IS DISTINCT FROM 'open' THEN
    RAISE EXCEPTION 'the month % is not open', month USING ERRCODE = 'FL001';
  END IF;
END $$;
--> statement-breakpoint
CREATE FUNCTION period_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE'
     OR (OLD.id, OLD.opens, OLD.closes, OLD.fee_bp) IS DISTINCT FROM (NEW.id, NEW.opens, NEW.closes, NEW.fee_bp)
     OR (OLD.state, NEW.state) NOT IN (('open', 'frozen'), ('frozen', 'closed'), ('closed', 'final')) THEN
    RAISE EXCEPTION 'a month only goes on: open, frozen, closed, final' USING ERRCODE = 'FL002';
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER period_guard BEFORE UPDATE OR DELETE ON period FOR EACH ROW EXECUTE FUNCTION period_guard();
--> statement-breakpoint
CREATE FUNCTION settlement_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE'
     OR (OLD.period, OLD.patron, OLD.budget, OLD.available, OLD.account)
        IS DISTINCT FROM (NEW.period, NEW.patron, NEW.budget, NEW.available, NEW.account)
     OR (OLD.state, NEW.state) NOT IN
        (('frozen', 'settled'), ('frozen', 'unfunded'), ('unfunded', 'late'), ('unfunded', 'lapsed')) THEN
    RAISE EXCEPTION 'a settlement only goes on, and what was frozen stays' USING ERRCODE = 'FL002';
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER settlement_guard BEFORE UPDATE OR DELETE ON settlement FOR EACH ROW EXECUTE FUNCTION settlement_guard();
--> statement-breakpoint

-- Flattrs: made and taken back while their month is open --------------------------------------------------------------

CREATE FUNCTION flattr_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    RAISE EXCEPTION 'a flattr is made or taken back, never changed' USING ERRCODE = 'FL002';
  ELSIF TG_OP = 'DELETE' THEN
    PERFORM enter_period(OLD.period);
    RETURN OLD;
  END IF;
  PERFORM enter_period(NEW.period);
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER flattr_guard BEFORE INSERT OR UPDATE OR DELETE ON flattr FOR EACH ROW EXECUTE FUNCTION flattr_guard();
--> statement-breakpoint

-- History stays -------------------------------------------------------------------------------------------------------

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'FL002';
END $$;
--> statement-breakpoint
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON share FOR EACH ROW EXECUTE FUNCTION append_only();
--> statement-breakpoint
DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['ledger.account', 'ledger.transfer', 'ledger.entry', 'ledger.resolution',
                              'budget', 'cash', 'split', 'split_part', 'alias', 'period_payee', 'receipt'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION append_only()', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['ledger.account', 'ledger.transfer', 'ledger.entry', 'ledger.resolution', 'ledger.balance',
                              'budget', 'cash', 'split', 'split_part', 'alias', 'period_payee', 'receipt', 'period',
                              'settlement', 'flattr', 'flattr_default', 'share', 'share_default'] LOOP
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION append_only()', name);
  END LOOP;
END $$;
--> statement-breakpoint
-- A budget counts from the moment it is set: only the open month can still be changed.
CREATE FUNCTION budget_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_period(period_of(NEW.since));
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER budget_guard BEFORE INSERT ON budget FOR EACH ROW EXECUTE FUNCTION budget_guard();
--> statement-breakpoint

-- The ledger ----------------------------------------------------------------------------------------------------------

-- Each account has its balance from the start: an UPDATE can then refuse what an upsert would let pass.
CREATE FUNCTION ledger.account_opened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ledger.balance (account, amount, floor) SELECT id, 0, floor FROM opened;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER account_opened AFTER INSERT ON ledger.account REFERENCING NEW TABLE AS opened
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.account_opened();
--> statement-breakpoint
-- All legs of a transfer come in one statement. Each transfer must be of this database transaction and add up to zero
-- in each currency; balances are locked in account order and moved once per account; their CHECK refuses an overdraft.
-- Each leg is looked up by its key: the plan is kept for the connection, and must fit two legs and fifty thousand.
CREATE FUNCTION ledger.entries_made() RETURNS trigger LANGUAGE plpgsql
  SET enable_nestloop = on SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  wrong bigint;
  unknown boolean;
  wanted bigint;
  moved bigint;
BEGIN
  SELECT made.transfer INTO wrong
    FROM (SELECT DISTINCT transfer FROM made) made LEFT JOIN ledger.transfer t ON t.id = made.transfer
   WHERE t.id IS NULL OR t.xact <> pg_current_xact_id() LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'transfer % is unknown or sealed', wrong USING ERRCODE = '23503', CONSTRAINT = 'entry_transfer';
  END IF;

  SELECT made.transfer, bool_or(a.id IS NULL) INTO wrong, unknown
    FROM made LEFT JOIN ledger.account a ON a.id = made.account
   GROUP BY made.transfer, a.currency HAVING sum(made.amount) <> 0 OR bool_or(a.id IS NULL)
   ORDER BY 2 DESC LIMIT 1;
  IF unknown THEN
    RAISE EXCEPTION 'transfer % names an unknown account', wrong USING ERRCODE = '23503', CONSTRAINT = 'entry_account';
  ELSIF FOUND THEN
    RAISE EXCEPTION 'transfer % is unbalanced', wrong USING ERRCODE = '23514', CONSTRAINT = 'entry_balanced';
  END IF;

  WITH moves AS MATERIALIZED (SELECT account, sum(amount)::bigint AS amount FROM made GROUP BY account),
       locked AS MATERIALIZED (
         SELECT b.account, m.amount FROM ledger.balance b JOIN moves m USING (account) ORDER BY b.account FOR NO KEY UPDATE OF b),
       updated AS (UPDATE ledger.balance b SET amount = b.amount + locked.amount FROM locked WHERE b.account = locked.account RETURNING 1)
  SELECT (SELECT count(*) FROM moves), (SELECT count(*) FROM updated) INTO wanted, moved;
  IF wanted <> moved THEN
    RAISE EXCEPTION 'an account without a balance' USING ERRCODE = '23503', CONSTRAINT = 'entry_account';
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER entries_made AFTER INSERT ON ledger.entry REFERENCING NEW TABLE AS made
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.entries_made();
--> statement-breakpoint
-- A transfer is made by the transaction that runs, whatever the statement says.
CREATE FUNCTION ledger.transfer_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.xact := pg_current_xact_id();
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER transfer_made BEFORE INSERT ON ledger.transfer FOR EACH ROW EXECUTE FUNCTION ledger.transfer_made();
--> statement-breakpoint
CREATE FUNCTION ledger.balance_is_derived() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'balances are derived from entries' USING ERRCODE = 'FL002';
END $$;
--> statement-breakpoint
CREATE TRIGGER balance_is_derived BEFORE INSERT OR UPDATE OR DELETE ON ledger.balance
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ledger.balance_is_derived();
--> statement-breakpoint
-- Only a waiting credit can be resolved, and only once (primary key).
CREATE FUNCTION ledger.resolution_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM ledger.entry e JOIN ledger.account a ON a.id = e.account
                  WHERE e.transfer = NEW.transfer AND e.account = NEW.account AND e.amount > 0 AND a.kind = 'waiting')
     OR NOT EXISTS (SELECT FROM ledger.transfer t WHERE t.id = NEW.resolved_by AND t.xact = pg_current_xact_id()) THEN
    RAISE EXCEPTION 'only waiting money can be resolved, by a transfer of this transaction' USING ERRCODE = '23503', CONSTRAINT = 'resolution_waiting';
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER resolution_guard BEFORE INSERT ON ledger.resolution FOR EACH ROW EXECUTE FUNCTION ledger.resolution_guard();
--> statement-breakpoint

-- Partitions ----------------------------------------------------------------------------------------------------------

-- Makes the room for a month's flattrs and shares. Safe to call again; where rows already fell into the default
-- partition the month simply stays there.
CREATE FUNCTION make_partitions(month integer) RETURNS void LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE parent text;
BEGIN
  FOREACH parent IN ARRAY ARRAY['flattr', 'share'] LOOP
    CONTINUE WHEN to_regclass(format('%I', parent || '_' || month)) IS NOT NULL;
    BEGIN
      EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES IN (%s)', parent || '_' || month, parent, month);
      EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION append_only()', parent || '_' || month);
    EXCEPTION WHEN check_violation OR lock_not_available OR duplicate_table THEN
      NULL;
    END;
  END LOOP;
END $$;
--> statement-breakpoint

-- Who is paid ---------------------------------------------------------------------------------------------------------

-- Why an actor gets nothing; null: it is paid.
CREATE VIEW payee_standing AS
  SELECT a.id AS payee,
         CASE WHEN a.deleted_at IS NOT NULL THEN 'payee_gone'
              WHEN EXISTS (SELECT FROM decline d WHERE d.payee = a.id AND d.until IS NULL) THEN 'payee_declined'
              WHEN EXISTS (SELECT FROM block b WHERE b.until IS NULL
                            AND ((b.kind = 'payee' AND b.target = a.uri) OR (b.kind = 'host' AND b.target = a.host))) THEN 'payee_blocked'
         END AS reason
    FROM actor a;
--> statement-breakpoint
-- Who is not paid, the same as a set: for whole months, where looking at each payee would take long.
CREATE VIEW payee_unpaid AS
  SELECT id AS payee FROM actor WHERE deleted_at IS NOT NULL
  UNION ALL
  SELECT payee FROM decline WHERE until IS NULL
  UNION ALL
  SELECT a.id FROM block b JOIN actor a ON a.uri = b.target WHERE b.kind = 'payee' AND b.until IS NULL
  UNION ALL
  SELECT a.id FROM block b JOIN actor a ON a.host = b.target WHERE b.kind = 'host' AND b.until IS NULL;
--> statement-breakpoint
-- True when an actor is the patron himself: his own actor, or one that he proved to be his.
CREATE FUNCTION is_own(patron bigint, payee bigint) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT EXISTS (SELECT FROM account a WHERE a.id = is_own.patron AND a.actor = is_own.payee)
      OR EXISTS (SELECT FROM alias l WHERE l.account = is_own.patron AND l.payee = is_own.payee)
$$;
