-- muster.project() beside a plain implementation of what is said of it, on random documents and paths.

-- Names of which documents and paths are made: numbers of elements, ones that only look like it, and what must be quoted.
CREATE FUNCTION r_name() RETURNS text LANGUAGE sql VOLATILE
RETURN (ARRAY['a', 'b', 'c', 'é😀', '0', '1', '2', '01', '-1', 'a.b', ',', '"', 'a "b"', '', ' a', '1000000000'])[
    CASE r(0, 2) WHEN 0 THEN r(1, 16) ELSE r(1, 8) END];

CREATE FUNCTION r_tree(depth int) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    result jsonb;
    kind int := CASE WHEN depth <= 0 THEN r(0, 3) ELSE r(0, 12) END;
    children int := r(0, 5);
BEGIN
    CASE kind
        WHEN 0 THEN RETURN to_jsonb(r_finite());
        WHEN 1 THEN RETURN to_jsonb(r_text());
        WHEN 2 THEN RETURN ('[null, true, {}, [], ""]'::jsonb) -> r(0, 4);
        WHEN 3, 4, 5, 6 THEN
            result := '[]';
            FOR i IN 1 .. children LOOP
                result := result || jsonb_build_array(r_tree(depth - 1));
            END LOOP;
            IF random() < 0.02 THEN
                result := result || (SELECT jsonb_agg(jsonb_build_object(r_name(), i)) FROM generate_series(1, 70) i);
            END IF;
        ELSE
            result := '{}';
            FOR i IN 1 .. children LOOP
                result := result || jsonb_build_object(r_name(), r_tree(depth - 1));
            END LOOP;
            IF random() < 0.02 THEN
                result := result || (SELECT jsonb_object_agg(i, i) FROM generate_series(1, 70) i);
            END IF;
    END CASE;
    RETURN result;
END
$$;

-- Paths as an array of arrays of names.
CREATE FUNCTION r_paths() RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    paths jsonb := '[]';
    path jsonb;
BEGIN
    FOR i IN 1 .. r(1, 4) LOOP
        path := '[]';
        FOR j IN 1 .. r(1, 4) LOOP
            path := path || to_jsonb(r_name());
        END LOOP;
        paths := paths || jsonb_build_array(path);
    END LOOP;
    RETURN paths;
END
$$;

-- The same as the text of "fields": names in quotes where they must be, and here and there otherwise; blanks anywhere.
CREATE FUNCTION fields_of(paths jsonb) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT string_agg((SELECT string_agg(
               (ARRAY['', ' ', E'\t\n'])[r(1, 3)] || CASE WHEN name ~ '[,."]|^$|^\s|\s$' OR random() < 0.2 THEN '"' || replace(name, '"', '""') || '"'
                                                         ELSE name END || (ARRAY['', ' ', E'\r'])[r(1, 3)], '.' ORDER BY n)
             FROM jsonb_array_elements_text(path) WITH ORDINALITY names (name, n)), ',' ORDER BY p)
      FROM jsonb_array_elements(paths) WITH ORDINALITY q (path, p)
$$;

-- What the paths find in the value, or null; if "always", then at least {} or [].
CREATE FUNCTION plain_project(value jsonb, paths jsonb, always bool) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    names text[] := (SELECT array_agg(name ORDER BY first) FROM (SELECT p ->> 0 AS name, min(n) AS first
                       FROM jsonb_array_elements(paths) WITH ORDINALITY q (p, n) GROUP BY 1) x);
    is_object bool := jsonb_typeof(value) = 'object';
    numbers_only bool := (SELECT bool_and(n ~ '^(0|[1-9]\d{0,8})$') FROM unnest(names) n);
    found text[] := '{}';
    name text;
    rest jsonb;
    child jsonb;
    got text;
BEGIN
    IF value IS NULL OR jsonb_typeof(value) NOT IN ('object', 'array') THEN
        RETURN NULL;
    END IF;
    IF is_object OR numbers_only THEN
        FOREACH name IN ARRAY names LOOP
            child := CASE WHEN is_object THEN value -> name ELSE value -> name::int END;
            CONTINUE WHEN child IS NULL;
            rest := (SELECT jsonb_agg(p - 0 ORDER BY n) FROM jsonb_array_elements(paths) WITH ORDINALITY q (p, n) WHERE p ->> 0 = name);
            -- a path that ends here asks for all
            got := CASE WHEN rest @> '[[]]' AND (SELECT bool_or(r = '[]') FROM jsonb_array_elements(rest) r) THEN child::text
                        ELSE plain_project(child, rest, false) END;
            IF got IS NOT NULL THEN
                found := found || (CASE WHEN is_object THEN to_json(name)::text || ':' ELSE '' END || got);
            END IF;
        END LOOP;
    ELSE
        FOR i IN 0 .. jsonb_array_length(value) - 1 LOOP
            child := value -> i;
            rest := (SELECT jsonb_agg(p - 0 ORDER BY n) FROM jsonb_array_elements(paths) WITH ORDINALITY q (p, n) WHERE p ->> 0 = i::text);
            got := CASE WHEN rest IS NULL THEN plain_project(child, paths, true)
                        WHEN (SELECT bool_or(r = '[]') FROM jsonb_array_elements(rest) r) THEN child::text
                        ELSE plain_project(child, rest, true) END;
            IF got IS NOT NULL THEN
                found := found || got;
            END IF;
        END LOOP;
    END IF;
    IF found = '{}' AND NOT always AND (is_object OR numbers_only OR value <> '[]') THEN
        RETURN NULL;
    END IF;
    RETURN CASE WHEN is_object THEN '{' ELSE '[' END || array_to_string(found, ',') || CASE WHEN is_object THEN '}' ELSE ']' END;
END
$$;

-- Paths into a column of agents in their pages, of jsonb or of what is made jsonb first.
CREATE PROCEDURE compare_fields() LANGUAGE plpgsql AS $$
DECLARE
    c text := (SELECT name FROM columns WHERE name <> 'c1_bool' OFFSET r(0, (SELECT count(*)::int FROM columns) - 2) LIMIT 1);
    paths jsonb := r_paths() || jsonb_build_array(jsonb_build_array('a'), jsonb_build_array('b', '0'));
    fields text := fields_of((SELECT jsonb_agg(jsonb_build_array(c) || p) FROM jsonb_array_elements(paths) p));
    settings text := set_at_random();
    got text;
    wanted text;
BEGIN
    SELECT body::text INTO got FROM muster.agents_json(row_limit => 1000000, include => '', fields => fields);
    CALL set_for_to_json();
    EXECUTE format('SELECT ''['' || string_agg(''{'' || coalesce($2 || public.plain_project(to_json(%I)::jsonb, $1, false), '''') || ''}'', '',''
                                    ORDER BY created_at DESC NULLS LAST, id DESC) || '']'' FROM public.agents', c)
       INTO wanted USING paths, to_json(c)::text || ':';
    PERFORM note('agents, fields ' || fields, settings, got, wanted) WHERE got IS DISTINCT FROM wanted;
END
$$;

CREATE PROCEDURE compare_projections(rows int, seed float8) LANGUAGE plpgsql AS $$
DECLARE
    value jsonb;
    paths jsonb;
    fields text;
    got text;
    wanted text;
    found int := 0;
BEGIN
    PERFORM setseed(seed);
    FOR i IN 1 .. rows LOOP
        -- some paths for a document, and some documents for a list of paths
        value := r_tree(r(1, 5));
        paths := r_paths();
        fields := fields_of(paths);
        got := muster.project(value, fields)::text;
        wanted := plain_project(value, paths, true);
        IF got IS DISTINCT FROM wanted THEN
            PERFORM note('project', format('document %s, fields %s', value, fields), got, wanted);
        END IF;
        found := found + coalesce(length(wanted) > 2, false)::int;
        got := muster.project(value, NULL)::text;
        IF got IS DISTINCT FROM value::text THEN
            PERFORM note('project of all', NULL, got, value::text);
        END IF;
    END LOOP;
    INSERT INTO compared VALUES ('project', rows), ('project, with something found', found);
END
$$;
