-- The schema of everything that is Muster's own. Users' data are ordinary tables elsewhere.
CREATE SCHEMA muster;
