-- Months are made by whoever writes the audit, which may not make tables.
CREATE FUNCTION audit.ensure_month(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    first date := date_trunc('month', month::timestamp)::date;
    following date := (first + interval '1 month')::date;
    name text := 'record_changes_' || to_char(first, 'YYYY_MM');
BEGIN
    IF to_regclass('audit.' || name) IS NULL THEN
        -- Made apart and attached: `PARTITION OF` would wait for everyone who reads the table, and a
        -- dump reads it for hours.
        EXECUTE format('CREATE TABLE audit.%I
            (LIKE audit.record_changes INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
        EXECUTE format('ALTER TABLE audit.record_changes ATTACH PARTITION audit.%I
            FOR VALUES FROM (%L) TO (%L)', name,
            to_char(first, 'YYYY-MM-DD') || ' 00:00:00+00',
            to_char(following, 'YYYY-MM-DD') || ' 00:00:00+00');
    END IF;
END
$$;
COMMENT ON FUNCTION audit.ensure_month(date) IS 'Makes the partition of audit.record_changes for the month of this day, where it is missing.';
