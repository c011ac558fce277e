"""
The questions to PostgreSQL's catalogues: one for each kind of object, never one for each object.

Each answers with lines of JSON: ``kind``, ``schema``, ``table``, ``name``, and ``is`` with the properties.
Objects of extensions and of PostgreSQL itself are left out. Names are looked up in ``pg_catalog`` only, so
that definitions are written out in full, the same on every server.
"""

from __future__ import annotations

import re

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
PREPARE = """
SET LOCAL search_path = pg_catalog; SET LOCAL statement_timeout = '60s'; SET LOCAL lock_timeout = '5s';
SET LOCAL idle_in_transaction_session_timeout = '120s'; SET LOCAL client_encoding = 'UTF8';
SET LOCAL quote_all_identifiers = off; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL intervalstyle = 'postgres'; SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex';
"""

SERVER = """
SELECT pg_catalog.json_build_object(
'version', pg_catalog.current_setting('server_version'),
'number', pg_catalog.current_setting('server_version_num'), 'database', d.datname, 'role', session_user,
'superuser', (SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10),
'owner', pg_catalog.pg_get_userbyid(d.datdba),
'encoding', pg_catalog.pg_encoding_to_char(d.encoding),
'collation', d.datcollate, 'character_type', d.datctype,
'migrator', coalesce((SELECT pg_catalog.pg_get_userbyid(c.relowner)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    GROUP BY c.relowner
    ORDER BY bool_or(c.relname IN ('_prisma_migrations', 'django_migrations')) DESC, count(*) DESC, c.relowner
    LIMIT 1), session_user))
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database();
"""


WORDS = {
    "<ours>": "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'",
    "<table>": """pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND <ours>
        AND <own pg_class c.oid>""",
    "<kind>": """CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view'
        WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' END""",
}
# Nothing that an extension has brought.
OWN = r"""NOT EXISTS (SELECT FROM pg_depend z WHERE z.classid = '\1'::regclass AND z.objid = \2
    AND z.deptype = 'e')"""
# Who may do what, in words; what an owner may do by itself is there without a grant.
GRANTS = r"""(SELECT coalesce(json_agg(w ORDER BY w), '[]') FROM (
    SELECT concat(CASE a.grantee WHEN 0 THEN 'PUBLIC' WHEN \3 THEN 'its owner'
        ELSE pg_get_userbyid(a.grantee)::text END, ': ',
        string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN ' (and may grant it)' ELSE '' END,
            ' ' ORDER BY a.privilege_type)) AS w
    FROM aclexplode(coalesce(\1, acldefault(\2, \3))) a GROUP BY a.grantee) g)"""


def _written(sql: str) -> str:
    """A statement, its ``<words>`` written out."""
    for word, text in WORDS.items():
        sql = sql.replace(word, text)
    sql = sql.replace("<ours>", WORDS["<ours>"])
    sql = re.sub(r"<own (\S+) ([^\s>]+)>", OWN, sql)
    return re.sub(r"<grants (\S+) (\S+) ([^\s>]+)>", GRANTS, sql)


_OBJECTS = {
    "schemas": """
SELECT json_build_object('kind', 'schema', 'schema', null, 'table', null, 'name', n.nspname, 'is',
    json_build_object('owner', pg_get_userbyid(n.nspowner), 'grants', <grants n.nspacl 'n' n.nspowner>))
FROM pg_namespace n WHERE <ours> AND <own pg_namespace n.oid>;""",
    "extensions": """
SELECT json_build_object('kind', 'extension', 'schema', null, 'table', null, 'name', e.extname, 'is',
    json_build_object('schema', n.nspname))
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace;""",
    "tables": """
SELECT json_build_object('kind', <kind>, 'schema', n.nspname, 'table', null, 'name', c.relname, 'is',
    json_build_object('owner', pg_get_userbyid(c.relowner),
    'row level security', CASE WHEN c.relkind IN ('r', 'p') THEN CASE WHEN c.relrowsecurity
        AND c.relforcerowsecurity
        THEN 'on and forced' WHEN c.relrowsecurity THEN 'on' WHEN c.relforcerowsecurity THEN 'off, yet forced'
        ELSE 'off' END END,
    'storage', CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
    'access method', (SELECT a.amname FROM pg_am a WHERE a.oid = c.relam),
    'options', array_to_string(ARRAY(SELECT o FROM unnest(c.reloptions) o ORDER BY 1), ', '),
    'partitioned by', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
    'partition', pg_get_expr(c.relpartbound, c.oid),
    'inherits', (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
        FROM pg_inherits i WHERE i.inhrelid = c.oid),
    'replica identity', CASE WHEN c.relkind IN ('r', 'p') AND c.relreplident <> 'd' THEN
        CASE c.relreplident WHEN 'f' THEN 'full' WHEN 'n' THEN 'nothing' ELSE 'index' END END,
    'server', (SELECT concat_ws(' ', s.srvname, f.ftoptions::text) FROM pg_foreign_table f
        JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
    'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
    'column order', CASE WHEN c.relkind IN ('r', 'p', 'f', 'c') THEN (SELECT string_agg(
        quote_ident(a.attname) || CASE WHEN c.relkind = 'c' THEN ' ' || format_type(a.atttypid, a.atttypmod)
            ELSE '' END,
        ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
            AND NOT a.attisdropped) END,
    'grants', CASE WHEN c.relkind <> 'c' THEN <grants c.relacl 'r' c.relowner> END))
FROM <table> WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.relpersistence <> 't';""",
    "columns": """
SELECT json_build_object('kind', 'column', 'schema', n.nspname, 'table', c.relname, 'name', a.attname, 'is',
    json_build_object('type', format_type(a.atttypid, a.atttypmod),
    'not null', CASE WHEN a.attnotnull THEN true END,
    'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
    'generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
    'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END,
    'collation', CASE WHEN a.attcollation <> t.typcollation
        THEN (SELECT format('%I.%I', m.nspname, k.collname)
        FROM pg_collation k JOIN pg_namespace m ON m.oid = k.collnamespace WHERE k.oid = a.attcollation) END,
    'storage', CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END,
    'statistics', CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END,
    'grants', CASE WHEN a.attacl IS NOT NULL THEN <grants a.attacl 'c' c.relowner> END))
FROM <table> JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
UNION ALL
SELECT json_build_object('kind', 'column', 'schema', n.nspname, 'table', c.relname, 'name', a.attname, 'is',
    json_build_object('grants', <grants a.attacl 'c' c.relowner>))
FROM <table> JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('v', 'm') AND a.attacl IS NOT NULL;""",
    # Those of kind n are in PostgreSQL 18 what `not null` of a column is before.
    "constraints": """
SELECT json_build_object('kind', 'constraint', 'schema', n.nspname, 'table', c.relname, 'name', k.conname,
    'is',
    json_build_object('definition', pg_get_constraintdef(k.oid),
    'enforced', CASE WHEN EXISTS (SELECT FROM pg_trigger t
        WHERE t.tgconstraint = k.oid AND t.tgenabled <> 'O') THEN false END,
    'inherited', CASE WHEN k.coninhcount > 0 THEN true END))
FROM <table> JOIN pg_constraint k ON k.conrelid = c.oid WHERE k.contype NOT IN ('n', 't');""",
    "indexes": """
SELECT json_build_object('kind', 'index', 'schema', n.nspname, 'table', c.relname, 'name', x.relname, 'is',
    json_build_object('definition', pg_get_indexdef(i.indexrelid),
    'valid', CASE WHEN NOT i.indisvalid THEN false END, 'clustered', CASE WHEN i.indisclustered THEN true END,
    'replica identity', CASE WHEN i.indisreplident THEN true END))
FROM <table> JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class x ON x.oid = i.indexrelid
WHERE c.relkind IN ('r', 'p', 'm') AND NOT EXISTS (SELECT FROM pg_constraint k
    WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x') AND k.conrelid = c.oid);""",
    "policies": """
SELECT json_build_object('kind', 'policy', 'schema', n.nspname, 'table', c.relname, 'name', p.polname, 'is',
    json_build_object('command', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w'
        THEN 'UPDATE'
        WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    'permissive', p.polpermissive,
    'roles', array_to_string(ARRAY(SELECT CASE WHEN r = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r)::text END
        FROM unnest(p.polroles) r ORDER BY 1), ', '),
    'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)))
FROM <table> JOIN pg_policy p ON p.polrelid = c.oid;""",
    "triggers": """
SELECT json_build_object('kind', 'trigger', 'schema', n.nspname, 'table', c.relname, 'name', t.tgname, 'is',
    json_build_object('definition', pg_get_triggerdef(t.oid),
    'enabled', CASE t.tgenabled WHEN 'O' THEN 'yes' WHEN 'D' THEN 'no' WHEN 'R' THEN 'on replicas'
        ELSE 'always' END))
FROM <table> JOIN pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal;""",
    "rules": """
SELECT json_build_object('kind', 'rule', 'schema', n.nspname, 'table', c.relname, 'name', r.rulename, 'is',
    json_build_object('definition', pg_get_ruledef(r.oid),
    'enabled', CASE r.ev_enabled WHEN 'O' THEN 'yes' WHEN 'D' THEN 'no' WHEN 'R' THEN 'on replicas'
        ELSE 'always' END))
FROM <table> JOIN pg_rewrite r ON r.ev_class = c.oid WHERE r.rulename <> '_RETURN';""",
    "sequences": """
SELECT json_build_object('kind', 'sequence', 'schema', n.nspname, 'table', o.name, 'name', c.relname, 'is',
    json_build_object('owner', CASE WHEN o.name IS NULL THEN pg_get_userbyid(c.relowner)::text END,
    'type', format_type(s.seqtypid, null), 'start', s.seqstart, 'increment', s.seqincrement,
    'minimum', s.seqmin, 'maximum', s.seqmax, 'cache', s.seqcache, 'cycle', CASE WHEN s.seqcycle THEN true
        END,
    'of column', o.field, 'storage', CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
    'grants', <grants c.relacl 's' c.relowner>))
FROM <table> JOIN pg_sequence s ON s.seqrelid = c.oid LEFT JOIN LATERAL (
    SELECT h.relname AS name, a.attname AS field FROM pg_depend d JOIN pg_class h ON h.oid = d.refobjid
    JOIN pg_attribute a ON a.attrelid = h.oid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
    AND d.deptype IN ('a', 'i') AND h.relnamespace = c.relnamespace) o ON true
WHERE c.relpersistence <> 't';""",
    "functions": """
SELECT json_build_object('kind', CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate'
    ELSE 'function' END,
    'schema', n.nspname, 'table', null,
    'name', format('%s(%s)', p.proname, oidvectortypes(p.proargtypes)), 'is',
    json_build_object('owner', pg_get_userbyid(p.proowner),
    'definition', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE (SELECT concat_ws(' ',
        a.aggtransfn::regproc, a.aggfinalfn::regproc,
            format_type(a.aggtranstype, null), a.agginitval, a.aggsortop)
        FROM pg_aggregate a WHERE a.aggfnoid = p.oid) END,
    'grants', <grants p.proacl 'f' p.proowner>))
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace AND <ours>
WHERE <own pg_proc p.oid> AND NOT EXISTS (SELECT FROM pg_depend i
    WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i');""",
    "types": """
SELECT json_build_object('kind', CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, 'schema', n.nspname,
    'table', null, 'name', t.typname, 'is',
    json_build_object('owner', pg_get_userbyid(t.typowner),
    'values', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder)
        FROM pg_enum e WHERE e.enumtypid = t.oid),
    'of', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
    'not null', CASE WHEN t.typnotnull THEN true END, 'default', t.typdefault,
    'range of', (SELECT format_type(r.rngsubtype, null) FROM pg_range r WHERE r.rngtypid = t.oid),
    'checks', (SELECT json_agg(k.conname || ' ' || pg_get_constraintdef(k.oid) ORDER BY k.conname)
        FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype <> 'n'),
    'grants', <grants t.typacl 'T' t.typowner>))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace AND <ours>
WHERE t.typtype IN ('e', 'd', 'r') AND <own pg_type t.oid>;""",
    "statistics": """
SELECT json_build_object('kind', 'statistics', 'schema', n.nspname, 'table', c.relname, 'name', s.stxname,
    'is',
    json_build_object('definition', pg_get_statisticsobjdef(s.oid), 'owner', pg_get_userbyid(s.stxowner)))
FROM <table> JOIN pg_statistic_ext s ON s.stxrelid = c.oid AND s.stxnamespace = c.relnamespace;""",
    "collations": """
SELECT json_build_object('kind', 'collation', 'schema', n.nspname, 'table', null, 'name', k.collname, 'is',
    json_build_object('owner', pg_get_userbyid(k.collowner), 'provider', k.collprovider,
    'deterministic', k.collisdeterministic))
FROM pg_collation k JOIN pg_namespace n ON n.oid = k.collnamespace AND <ours>
WHERE <own pg_collation k.oid>;""",
    "event triggers": """
SELECT json_build_object('kind', 'event trigger', 'schema', null, 'table', null, 'name', e.evtname, 'is',
    json_build_object('on', e.evtevent, 'function', e.evtfoid::regproc::text, 'tags', e.evttags,
    'owner', pg_get_userbyid(e.evtowner), 'enabled', CASE e.evtenabled WHEN 'O' THEN 'yes' WHEN 'D' THEN 'no'
        WHEN 'R' THEN 'on replicas' ELSE 'always' END))
FROM pg_event_trigger e WHERE <own pg_event_trigger e.oid>;""",
    "publications": """
SELECT json_build_object('kind', 'publication', 'schema', null, 'table', null, 'name', p.pubname, 'is',
    json_build_object('owner', pg_get_userbyid(p.pubowner), 'all tables', p.puballtables,
    'changes', concat_ws(' ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update'
        END,
        CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
    'tables', array_to_string(ARRAY(SELECT r.prrelid::regclass::text FROM pg_publication_rel r
        WHERE r.prpubid = p.oid ORDER BY 1), ', ')))
FROM pg_publication p;""",
    "default grants": """
SELECT json_build_object('kind', 'default grants', 'schema', n.nspname, 'table', null, 'name',
    format('of %s for %s', pg_get_userbyid(d.defaclrole), CASE d.defaclobjtype WHEN 'r' THEN 'tables'
        WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas'
        ELSE d.defaclobjtype::text END), 'is',
    json_build_object('grants', (SELECT json_agg(x.w ORDER BY x.w) FROM (SELECT a.privilege_type || ' to ' ||
        CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END AS w
        FROM aclexplode(d.defaclacl) a) x)))
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace;""",
    "roles": """
SELECT json_build_object('kind', 'role', 'schema', null, 'table', null, 'name', r.rolname, 'is',
    json_build_object('superuser', CASE WHEN r.rolsuper THEN true END,
    'bypasses row level security', CASE WHEN r.rolbypassrls OR r.rolsuper THEN true END,
    'may log in', CASE WHEN r.rolcanlogin THEN true END, 'may make roles', CASE WHEN r.rolcreaterole
        THEN true END,
    'may make databases', CASE WHEN r.rolcreatedb THEN true END,
    'may replicate', CASE WHEN r.rolreplication THEN true END,
    'inherits', CASE WHEN NOT r.rolinherit THEN false END,
    'member of', (SELECT string_agg(g.rolname, ', ' ORDER BY g.rolname) FROM pg_auth_members m
        JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid)))
FROM pg_roles r WHERE r.rolname !~ '^pg_';""",
    "comments": """
SELECT json_build_object('kind', 'comment', 'schema', i.schema, 'table', c.relname, 'name',
    concat(i.type, ' ', i.identity), 'is', json_build_object('text', d.description))
FROM pg_description d LEFT JOIN pg_class c ON d.classoid = 'pg_class'::regclass AND c.oid = d.objoid
CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i
WHERE d.objoid >= 16384 AND i.type NOT IN ('extension') AND (i.schema IS NULL OR i.schema !~ '^pg_'
    AND i.schema <> 'information_schema') AND NOT EXISTS (SELECT FROM pg_depend z WHERE z.classid = d.classoid
    AND z.objid = d.objoid AND z.deptype = 'e')
UNION ALL
SELECT json_build_object('kind', 'comment', 'schema', null, 'table', null, 'name', 'schema public', 'is',
    json_build_object('text', d.description))
FROM pg_description d JOIN pg_namespace n ON n.oid = d.objoid AND n.nspname = 'public'
WHERE d.classoid = 'pg_namespace'::regclass AND d.objoid < 16384 AND <ours>;""",
}

OBJECTS = {name: _written(sql) for name, sql in _OBJECTS.items()}
"""By what they ask for."""
