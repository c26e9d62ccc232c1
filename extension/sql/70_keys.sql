-- API keys of the HTTP door. A key is 32 random bytes, shown once; what is kept is its SHA-256.

-- create_api_key makes a key and returns its text, which nothing can show again. The bytes are a hash over
-- three random UUIDs, which come from the server's strong random source, 122 bits each.
CREATE FUNCTION muster.create_api_key(
    name text, tier text DEFAULT 'standard', scopes text[] DEFAULT '{read,write}')
RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    random bytea := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
                           || uuid_send(gen_random_uuid()));
    key text := 'mst_' || rtrim(translate(encode(random, 'base64'), '+/', '-_'), '=');
BEGIN
    tier := coalesce(tier, 'standard');
    scopes := coalesce(scopes, '{read,write}');
    IF coalesce(name, '') = '' THEN
        RAISE EXCEPTION 'an API key needs a name' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF tier NOT IN ('standard', 'premium') THEN
        RAISE EXCEPTION 'invalid value for "tier": "%"', left(tier, 100) USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed are standard and premium.';
    END IF;
    IF NOT scopes <@ '{read,write}' OR scopes = '{}' THEN
        RAISE EXCEPTION 'invalid value for "scopes": %', left(scopes::text, 100) USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed are read and write, at least one.';
    END IF;
    INSERT INTO muster.api_keys AS k (name, sha256, tier, scopes)
    VALUES (name, sha256(convert_to(key, 'UTF8')), tier, scopes);
    RETURN key;
END
$$;

-- revoke_api_key ends a key; it says whether there was one to end. The row stays, as a record.
CREATE FUNCTION muster.revoke_api_key(id uuid) RETURNS bool
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    UPDATE muster.api_keys AS k SET revoked_at = now() WHERE k.id = id AND k.revoked_at IS NULL;
    RETURN FOUND;
END
$$;

-- By name: all keys of that name.
CREATE FUNCTION muster.revoke_api_key(name text) RETURNS bool
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    UPDATE muster.api_keys AS k SET revoked_at = now() WHERE k.name = name AND k.revoked_at IS NULL;
    RETURN FOUND;
END
$$;

-- api_key says whose key has this hash: NULLs for one that is unknown or revoked. It runs with its owner's
-- rights, so that who may check a key need not be able to read the list of them.
CREATE FUNCTION muster.api_key(
    sha256 bytea, OUT id uuid, OUT name text, OUT tier text, OUT scopes text[])
RETURNS record
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    SELECT k.id, k.name, k.tier, k.scopes INTO id, name, tier, scopes
      FROM muster.api_keys k WHERE k.sha256 = sha256 AND k.revoked_at IS NULL;
END
$$;
