#!/bin/sh
# Runs once, when the postgres container makes its cluster: the product's role is no superuser, so that row-level
# security binds it, and may create the roles that the migrations need.
set -eu

psql --set ON_ERROR_STOP=1 --set password="$DATABASE_PASSWORD" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE threadkeep LOGIN NOSUPERUSER CREATEROLE NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE threadkeep OWNER threadkeep;
SQL
