-- Balances are changed in the order of their accounts, whichever plan is chosen: CTE and index are read in that order, and
-- nothing else is allowed. Nobody can wait for somebody who waits for him, and no row is locked before it is changed.
CREATE OR REPLACE FUNCTION ledger.entries_made() RETURNS trigger LANGUAGE plpgsql
  SET enable_nestloop = on SET enable_hashjoin = off SET enable_mergejoin = off
  SET enable_seqscan = off SET enable_bitmapscan = off AS $$
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

  WITH moves AS MATERIALIZED (SELECT account, sum(amount)::bigint AS amount FROM made GROUP BY account ORDER BY account),
       updated AS (UPDATE ledger.balance b SET amount = b.amount + m.amount FROM moves m WHERE b.account = m.account RETURNING 1)
  SELECT (SELECT count(*) FROM moves), (SELECT count(*) FROM updated) INTO wanted, moved;
  IF wanted <> moved THEN
    RAISE EXCEPTION 'an account without a balance' USING ERRCODE = '23503', CONSTRAINT = 'entry_account';
  END IF;
  RETURN NULL;
END $$;
