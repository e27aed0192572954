-- What the tables of federation promise beyond their columns: logs that stay, counters that grow, limits that hold.

CREATE FUNCTION statement_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE'
     OR (OLD.peer, OLD.direction, OLD.seq, OLD.id, OLD.kind, OLD.digest, OLD.prev, OLD.document, OLD.at)
        IS DISTINCT FROM (NEW.peer, NEW.direction, NEW.seq, NEW.id, NEW.kind, NEW.digest, NEW.prev, NEW.document, NEW.at)
     OR (OLD.receipt_seq IS NOT NULL AND OLD.receipt_seq IS DISTINCT FROM NEW.receipt_seq) THEN
    RAISE EXCEPTION 'a statement stays as it was signed' USING ERRCODE = 'FL002';
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER statement_guard BEFORE UPDATE OR DELETE ON statement FOR EACH ROW EXECUTE FUNCTION statement_guard();
--> statement-breakpoint
-- A log has no gap, and each statement names the one before it.
CREATE FUNCTION statement_chained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.seq > 1 AND NOT EXISTS (SELECT FROM statement s WHERE s.peer = NEW.peer AND s.direction = NEW.direction
                                    AND s.seq = NEW.seq - 1 AND s.digest = NEW.prev) THEN
    RAISE EXCEPTION 'statement % does not follow the one before it', NEW.id USING ERRCODE = '23514', CONSTRAINT = 'statement_chained';
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER statement_chained BEFORE INSERT ON statement FOR EACH ROW EXECUTE FUNCTION statement_chained();
--> statement-breakpoint
CREATE FUNCTION position_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR (OLD.peer, OLD.currency) IS DISTINCT FROM (NEW.peer, NEW.currency)
     OR NEW.accepted_in < OLD.accepted_in OR NEW.settled_in < OLD.settled_in
     OR NEW.accepted_out < OLD.accepted_out OR NEW.settled_out < OLD.settled_out THEN
    RAISE EXCEPTION 'the counters of a position only grow' USING ERRCODE = 'FL002';
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER position_guard BEFORE UPDATE OR DELETE ON position FOR EACH ROW EXECUTE FUNCTION position_guard();
--> statement-breakpoint
CREATE FUNCTION line_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE'
     OR (OLD.period, OLD.part, OLD.payee, OLD.peer, OLD.amount, OLD.count, OLD.patrons)
        IS DISTINCT FROM (NEW.period, NEW.part, NEW.payee, NEW.peer, NEW.amount, NEW.count, NEW.patrons)
     OR (OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN
        (('outbound', 'sent'), ('outbound', 'waiting'), ('sent', 'accepted'), ('sent', 'outbound'), ('sent', 'waiting'))) THEN
    RAISE EXCEPTION 'a line only goes on, and its amount stays' USING ERRCODE = 'FL002';
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER line_guard BEFORE UPDATE OR DELETE ON line FOR EACH ROW EXECUTE FUNCTION line_guard();
--> statement-breakpoint
CREATE FUNCTION transfer_in_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR OLD.released_at IS NOT NULL
     OR (OLD.peer, OLD.seq, OLD.kind, OLD.period, OLD.currency, OLD.accepted, OLD.up_to, OLD.at)
        IS DISTINCT FROM (NEW.peer, NEW.seq, NEW.kind, NEW.period, NEW.currency, NEW.accepted, NEW.up_to, NEW.at) THEN
    RAISE EXCEPTION 'a Transfer that was taken in is released once and otherwise stays' USING ERRCODE = 'FL002';
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER transfer_in_guard BEFORE UPDATE OR DELETE ON transfer_in FOR EACH ROW EXECUTE FUNCTION transfer_in_guard();
--> statement-breakpoint
DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['fork', 'transfer_line', 'peer_payment', 'peer_confirmation', 'activity'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION append_only()', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['fork', 'transfer_line', 'peer_payment', 'peer_confirmation', 'activity', 'statement', 'position',
                              'line', 'transfer_in', 'peer', 'peer_key'] LOOP
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION append_only()', name);
  END LOOP;
END $$;
--> statement-breakpoint

-- The limit of a trust line is the floor of its receivable. Nothing else of an account ever changes.
DROP TRIGGER append_only ON ledger.account;
--> statement-breakpoint
CREATE FUNCTION ledger.account_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR OLD.kind <> 'receivable'
     OR (OLD.id, OLD.kind, OLD.owner, OLD.peer, OLD.currency) IS DISTINCT FROM (NEW.id, NEW.kind, NEW.owner, NEW.peer, NEW.currency) THEN
    RAISE EXCEPTION 'account is append-only, but for the floor of a receivable' USING ERRCODE = 'FL002';
  END IF;
  UPDATE ledger.balance SET floor = NEW.floor WHERE account = NEW.id;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER account_guard BEFORE UPDATE OR DELETE ON ledger.account FOR EACH ROW EXECUTE FUNCTION ledger.account_guard();
