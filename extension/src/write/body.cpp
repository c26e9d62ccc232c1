// From JSON to the values of columns.
#include "write/body.hpp"

#include "write/time.hpp"

extern "C" {
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

namespace muster::write {
namespace {

// So much of a wrong value is shown.
constexpr int shown_bytes = 80;

// The value as JSON, cut short.
const char* shown(JsonbValue* value) {
    StringInfoData out;
    initStringInfo(&out);
    Jsonb* json = JsonbValueToJsonb(value);
    JsonbToCString(&out, &json->root, static_cast<int>(VARSIZE(json)));
    if (out.len > shown_bytes) {
        out.len = pg_mbcliplen(out.data, out.len, shown_bytes);
        out.data[out.len] = '\0';
        appendStringInfoString(&out, "...");
    }
    return out.data;
}

// The member as an error names it: constraints.priority.
const char* full_name(const Member& member) {
    return member.parent == nullptr ? member.name : psprintf("%s.%s", member.parent, member.name);
}

[[noreturn]] void refuse(const Member& member, JsonbValue* value, const char* expected) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid value for \"%s\": %s", full_name(member), shown(value)),
                    errdetail("%s is expected.", expected)));
    pg_unreachable();
}

[[noreturn]] void refuse_text(const Member& member, JsonbValue* value) {
    StringInfoData list;
    initStringInfo(&list);
    for (const char* at = member.allowed; *at != '\0'; at++) {
        if (*at == ' ') {
            appendStringInfoString(&list, ", ");
        } else {
            appendStringInfoChar(&list, *at);
        }
    }
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid value for \"%s\": %s", full_name(member), shown(value)),
                    errhint("Allowed are: %s.", list.data)));
    pg_unreachable();
}

std::string_view string_of(const JsonbValue* value) {
    return {value->val.string.val, static_cast<size_t>(value->val.string.len)};
}

Datum text_datum(std::string_view value) {
    return PointerGetDatum(cstring_to_text_with_len(value.data(), static_cast<int>(value.size())));
}

// Whether the word is one of the list's, which are separated by spaces.
bool is_listed(std::string_view word, const char* list) {
    while (*list != '\0') {
        const char* end = strchrnul(list, ' ');
        if (word == std::string_view(list, static_cast<size_t>(end - list))) {
            return true;
        }
        list = *end == ' ' ? end + 1 : end;
    }
    return false;
}

bool is_container(const JsonbValue* value, bool array) {
    return value->type == jbvBinary && (array ? JsonContainerIsArray(value->val.binary.data)
                                              : JsonContainerIsObject(value->val.binary.data));
}

// A whole number between the bounds, however it is written: 5, 5.0, 5e0.
int64 read_integer(const Member& member, JsonbValue* value, int64 lowest, int64 highest) {
    const char* expected =
        psprintf("A whole number from " INT64_FORMAT " to " INT64_FORMAT, lowest, highest);
    if (value->type != jbvNumeric) {
        refuse(member, value, expected);
    }
    const Datum number = NumericGetDatum(value->val.numeric);
    const Datum low = DirectFunctionCall1(int8_numeric, Int64GetDatum(lowest));
    const Datum high = DirectFunctionCall1(int8_numeric, Int64GetDatum(highest));
    const Datum whole = DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0));
    if (!DatumGetBool(DirectFunctionCall2(numeric_eq, number, whole)) ||
        DatumGetBool(DirectFunctionCall2(numeric_lt, number, low)) ||
        DatumGetBool(DirectFunctionCall2(numeric_gt, number, high))) {
        refuse(member, value, expected);
    }
    return DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
}

Datum read_time(const Member& member, JsonbValue* value) {
    int64 microseconds;
    if (value->type != jbvString || !parse_time(string_of(value), &microseconds)) {
        refuse(member, value, "A time such as \"2026-01-15T21:00:00Z\"");
    }
    return TimestampTzGetDatum(microseconds);
}

Datum read_strings(const Member& member, JsonbValue* value) {
    const char* expected = "A list of strings";
    if (!is_container(value, true)) {
        refuse(member, value, expected);
    }
    JsonbContainer* list = value->val.binary.data;
    const uint32 count = JsonContainerSize(list);
    auto* items = static_cast<Datum*>(palloc(sizeof(Datum) * Max(count, 1)));
    for (uint32 i = 0; i < count; i++) {
        const JsonbValue* item = getIthJsonbValueFromContainer(list, i);
        if (item->type != jbvString) {
            refuse(member, value, expected);
        }
        items[i] = text_datum(string_of(item));
    }
    return PointerGetDatum(
        construct_array(items, static_cast<int>(count), TEXTOID, -1, false, TYPALIGN_INT));
}

// The value of a member as its column takes it. It is not null.
Datum read_value(const Member& member, JsonbValue* value) {
    switch (member.kind) {
        case Kind::Text:
            if (value->type != jbvString) {
                refuse(member, value, "A string");
            }
            if (member.allowed != nullptr && !is_listed(string_of(value), member.allowed)) {
                refuse_text(member, value);
            }
            return text_datum(string_of(value));
        case Kind::Uuid: {
            Datum uuid;
            if (value->type != jbvString || !parse_uuid(string_of(value), &uuid)) {
                refuse(member, value, "A UUID");
            }
            return uuid;
        }
        case Kind::Integer:
            return Int32GetDatum(
                static_cast<int32>(read_integer(member, value, member.lowest, member.highest)));
        case Kind::Bigint:
            return Int64GetDatum(read_integer(member, value, INT64_MIN, INT64_MAX));
        case Kind::Number:
            if (value->type != jbvNumeric) {
                refuse(member, value, "A number");
            }
            return NumericGetDatum(value->val.numeric);
        case Kind::Boolean:
            if (value->type != jbvBool) {
                refuse(member, value, "True or false");
            }
            return BoolGetDatum(value->val.boolean);
        case Kind::Time:
            return read_time(member, value);
        case Kind::Strings:
            return read_strings(member, value);
        case Kind::Object:
            if (!is_container(value, false)) {
                refuse(member, value, "An object");
            }
            return JsonbPGetDatum(JsonbValueToJsonb(value));
        case Kind::List:
            if (!is_container(value, true)) {
                refuse(member, value, "A list");
            }
            return JsonbPGetDatum(JsonbValueToJsonb(value));
        case Kind::Json:
            return JsonbPGetDatum(JsonbValueToJsonb(value));
    }
    pg_unreachable();
}

JsonbValue* find(JsonbContainer* object, const char* name) {
    return getKeyJsonValueFromContainer(object, name, static_cast<int>(strlen(name)), nullptr);
}

// The object that holds the member, or null if the body does not have it.
JsonbContainer* holder(JsonbContainer* body, const Member& member) {
    if (member.parent == nullptr) {
        return body;
    }
    JsonbValue* parent = find(body, member.parent);
    if (parent == nullptr || parent->type == jbvNull) {
        return nullptr;
    }
    if (!is_container(parent, false)) {
        const Member self = {member.parent, nullptr, Kind::Object};
        refuse(self, parent, "An object");
    }
    return parent->val.binary.data;
}

// Where a member's value is kept: at the first member of the same column.
int place_of(const Form& form, int member) {
    for (int i = 0; i < member; i++) {
        if (strcmp(form.members[i].column, form.members[member].column) == 0) {
            return i;
        }
    }
    return member;
}

}  // namespace

Oid parameter_type(Kind kind) {
    switch (kind) {
        case Kind::Text:
            return TEXTOID;
        case Kind::Uuid:
            return UUIDOID;
        case Kind::Integer:
            return INT4OID;
        case Kind::Bigint:
            return INT8OID;
        case Kind::Number:
            return NUMERICOID;
        case Kind::Boolean:
            return BOOLOID;
        case Kind::Time:
            return TIMESTAMPTZOID;
        case Kind::Strings:
            return TEXTARRAYOID;
        case Kind::Object:
        case Kind::List:
        case Kind::Json:
            return JSONBOID;
    }
    pg_unreachable();
}

bool parse_uuid(std::string_view digits, Datum* uuid) {
    if (digits.size() != 36 && digits.size() != 32) {
        return false;
    }
    for (size_t i = 0; i < digits.size(); i++) {
        const char digit = digits[i];
        const bool hyphen = digits.size() == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
        const bool hex = (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f') ||
                         (digit >= 'A' && digit <= 'F');
        if (hyphen ? digit != '-' : !hex) {
            return false;
        }
    }
    *uuid = DirectFunctionCall1(uuid_in, CStringGetDatum(pnstrdup(digits.data(), digits.size())));
    return true;
}

void read_body(const text* body, const Form& form, Purpose purpose, Values& values) {
    Jsonb* json = nullptr;
    if (body != nullptr) {
        // Rejects what no text can hold: \u0000 and broken surrogates.
        json =
            DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(body))));
    }
    if (json == nullptr || !JB_ROOT_IS_OBJECT(json)) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("the body must be a JSON object")));
    }
    for (int i = 0; i < form.count; i++) {
        const Member& member = form.members[i];
        JsonbContainer* object = holder(&json->root, member);
        JsonbValue* value = object == nullptr ? nullptr : find(object, member.name);
        if (value == nullptr || (value->type == jbvNull && purpose == Purpose::Create)) {
            continue;
        }
        const int place = place_of(form, i);
        const MemberSet bit = MemberSet{1} << place;
        if (value->type == jbvNull) {
            if (member.need != Need::Nullable) {
                refuse(member, value, "A value other than null");
            }
            values.given |= bit;
            values.nulls |= bit;
            values.values[place] = Datum{0};
            continue;
        }
        // Also an alias that does not count must be right.
        const Datum datum = read_value(member, value);
        if (!values.has(place)) {
            values.given |= bit;
            values.values[place] = datum;
        }
    }
    if (purpose == Purpose::Create) {
        for (int i = 0; i < form.count; i++) {
            if (form.members[i].need == Need::Required && !values.has(i)) {
                ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                                errmsg("missing required member \"%s\"", form.members[i].name)));
            }
        }
    }
}

}  // namespace muster::write
