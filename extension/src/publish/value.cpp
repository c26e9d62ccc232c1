// A column's value as JSON: plain types written here, everything else by the server's own
// to_json().
#include "publish/value.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
extern "C" {
#include "nodes/makefuncs.h"
#include "pgtime.h"
}
#pragma GCC diagnostic pop

namespace muster::publish {
namespace {

// Writes with the session's time zone set to UTC, which to_json() has no parameter for.
void append_in_utc(StringInfo out, FmgrInfo* to_json, Datum value) {
    pg_tz* session = session_timezone;
    PG_TRY();
    {
        session_timezone = pg_tzset("UTC");
        text* json = DatumGetTextPP(FunctionCall1(to_json, value));
        appendBinaryStringInfo(out, VARDATA_ANY(json), static_cast<int>(VARSIZE_ANY_EXHDR(json)));
    }
    PG_FINALLY();
    { session_timezone = session; }
    PG_END_TRY();
}

}  // namespace

FmgrInfo* to_json_function(Oid type) {
    auto* function = static_cast<FmgrInfo*>(palloc0(sizeof(FmgrInfo)));
    fmgr_info_cxt(F_TO_JSON, function, CurrentMemoryContext);
    // to_json() asks its call expression for the type of its argument.
    Const* argument = makeNullConst(type, -1, InvalidOid);
    fmgr_info_set_expr(
        reinterpret_cast<Node*>(makeFuncExpr(F_TO_JSON, JSONOID, lappend(NIL, argument), InvalidOid,
                                             InvalidOid, COERCE_EXPLICIT_CALL)),
        function);
    return function;
}

void append_json(StringInfo out, const Column& column, Datum value) {
    switch (column.type) {
        case TEXTOID:
        case VARCHAROID:
            escape_json(out, TextDatumGetCString(value));
            return;
        case BOOLOID:
            appendStringInfoString(out, DatumGetBool(value) ? "true" : "false");
            return;
        case INT4OID:
            appendStringInfo(out, "%d", DatumGetInt32(value));
            return;
        case INT8OID:
            appendStringInfo(out, INT64_FORMAT, DatumGetInt64(value));
            return;
        default:
            append_in_utc(out, column.to_json, value);
    }
}

void append_bare_text(StringInfo out, const Column& column, Datum value) {
    switch (column.type) {
        case DATEOID:
        case TIMESTAMPOID:
        case TIMESTAMPTZOID: {
            StringInfoData quoted;
            initStringInfo(&quoted);
            append_in_utc(&quoted, column.to_json, value);
            appendBinaryStringInfo(out, quoted.data + 1, quoted.len - 2);
            return;
        }
        case TEXTOID:
        case VARCHAROID: {
            text* string = DatumGetTextPP(value);
            appendBinaryStringInfo(out, VARDATA_ANY(string),
                                   static_cast<int>(VARSIZE_ANY_EXHDR(string)));
            return;
        }
        default: {
            Oid function;
            bool is_varlena;
            getTypeOutputInfo(column.type, &function, &is_varlena);
            appendStringInfoString(out, OidOutputFunctionCall(function, value));
        }
    }
}

}  // namespace muster::publish
