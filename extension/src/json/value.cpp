// The rules are those of json_categorize_type() and datum_to_json() in the server's json.c.
#include "json/value.hpp"

#include "json/escape.hpp"
#include "json/jsonb.hpp"
#include "json/scalar.hpp"

namespace muster::json {
namespace {

void put_bool(Arena& out, Datum value, const ValueWriter&) {
    out.put(DatumGetBool(value) ? std::string_view("true") : std::string_view("false"));
}

void put_int2(Arena& out, Datum value, const ValueWriter&) {
    put_int64(out, DatumGetInt16(value));
}

void put_int4(Arena& out, Datum value, const ValueWriter&) {
    put_int64(out, DatumGetInt32(value));
}

void put_int8(Arena& out, Datum value, const ValueWriter&) {
    put_int64(out, DatumGetInt64(value));
}

void put_float4_value(Arena& out, Datum value, const ValueWriter&) {
    put_float4(out, DatumGetFloat4(value));
}

void put_float8_value(Arena& out, Datum value, const ValueWriter&) {
    put_float8(out, DatumGetFloat8(value));
}

void put_numeric_value(Arena& out, Datum value, const ValueWriter&) {
    auto* stored = PG_DETOAST_DATUM_PACKED(value);
    put_numeric(out, VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
}

void put_text(Arena& out, Datum value, const ValueWriter&) {
    auto* stored = PG_DETOAST_DATUM_PACKED(value);
    put_string(out, VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
}

void put_name(Arena& out, Datum value, const ValueWriter&) {
    put_string(out, std::string_view(NameStr(*DatumGetName(value))));
}

void put_uuid_value(Arena& out, Datum value, const ValueWriter&) {
    put_uuid(out, *DatumGetUUIDP(value));
}

// A bytea has two ways to be written, and a session chooses.
void put_bytea(Arena& out, Datum value, const ValueWriter&) {
    if (bytea_output != BYTEA_OUTPUT_HEX) {
        put_string(out, std::string_view(DatumGetCString(DirectFunctionCall1(byteaout, value))));
        return;
    }
    auto* stored = PG_DETOAST_DATUM_PACKED(value);
    put_hex_bytea(out, VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
}

void put_bits_value(Arena& out, Datum value, const ValueWriter&) {
    VarBit* bits = DatumGetVarBitP(value);
    put_bits(out, VARBITS(bits), static_cast<std::size_t>(VARBITLEN(bits)));
}

void put_date_value(Arena& out, Datum value, const ValueWriter&) {
    put_date(out, DatumGetDateADT(value));
}

void put_naive_timestamp(Arena& out, Datum value, const ValueWriter&) {
    put_timestamp(out, DatumGetTimestamp(value), false);
}

void put_utc_timestamp(Arena& out, Datum value, const ValueWriter&) {
    put_timestamp(out, DatumGetTimestamp(value), true);
}

void put_json_text(Arena& out, Datum value, const ValueWriter&) {
    auto* stored = PG_DETOAST_DATUM_PACKED(value);
    out.put(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
}

void put_jsonb_value(Arena& out, Datum value, const ValueWriter&) {
    put_jsonb(out, jsonb_bytes(value));
}

void put_by_output_function(Arena& out, Datum value, const ValueWriter& writer) {
    put_string(out, std::string_view(OutputFunctionCall(writer.function, value)));
}

// Sets what the text of times depends on, until the returned level is left. An error leaves it too.
int enter_utc() {
    const int level = NewGUCNestLevel();
    set_config_option("TimeZone", "UTC", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                      false);
    set_config_option("DateStyle", "ISO", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                      false);
    return level;
}

void put_by_output_function_in_utc(Arena& out, Datum value, const ValueWriter& writer) {
    const int level = enter_utc();
    const char* text = OutputFunctionCall(writer.function, value);
    AtEOXact_GUC(true, level);
    put_string(out, std::string_view(text));
}

// A cast is a user's function, which may come back here before it returns, as when it writes a
// table with a publishing trigger. So the state that it keeps between calls is out of the inner
// call's way.
void put_by_cast(Arena& out, Datum value, const ValueWriter& writer) {
    FmgrInfo function = *writer.function;
    writer.function->fn_extra = nullptr;
    LOCAL_FCINFO(call, 1);
    InitFunctionCallInfoData(*call, &function, 1, InvalidOid, nullptr, nullptr);
    call->args[0].value = value;
    call->args[0].isnull = false;
    const int level = enter_utc();
    Datum json = FunctionCallInvoke(call);
    AtEOXact_GUC(true, level);
    writer.function->fn_extra = function.fn_extra;
    if (call->isnull) {
        out.put("null");
    } else {
        put_json_text(out, json, writer);
    }
}

// Appends one dimension, and moves `item` past the elements it took.
void put_dimension(Arena& out, const ValueWriter& element, int dimension, int dimensions,
                   const int* lengths, const Datum* values, const bool* nulls, int& item) {
    out.put('[');
    for (int i = 0; i < lengths[dimension]; i++) {
        if (i > 0) {
            out.put(',');
        }
        if (dimension + 1 < dimensions) {
            put_dimension(out, element, dimension + 1, dimensions, lengths, values, nulls, item);
            continue;
        }
        if (nulls[item]) {
            out.put("null");
        } else {
            element.write(out, values[item], element);
        }
        item++;
    }
    out.put(']');
}

void put_array_value(Arena& out, Datum value, const ValueWriter& writer) {
    check_stack_depth();
    ArrayType* array = DatumGetArrayTypeP(value);
    if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) <= 0) {
        out.put("[]");
        return;
    }
    Datum* values;
    bool* nulls;
    int count;
    deconstruct_array(array, ARR_ELEMTYPE(array), writer.element_length, writer.element_by_value,
                      writer.element_align, &values, &nulls, &count);
    int item = 0;
    put_dimension(out, *writer.element, 0, ARR_NDIM(array), ARR_DIMS(array), values, nulls, item);
}

void put_composite_value(Arena& out, Datum value, const ValueWriter&) {
    check_stack_depth();
    HeapTupleHeader header = DatumGetHeapTupleHeader(value);
    TupleDesc descriptor =
        lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
    HeapTupleData tuple{};
    tuple.t_len = HeapTupleHeaderGetDatumLength(header);
    tuple.t_data = header;

    out.put('{');
    bool first = true;
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
        if (attribute->attisdropped) {
            continue;
        }
        if (!first) {
            out.put(',');
        }
        first = false;
        put_string(out, std::string_view(NameStr(attribute->attname)));
        out.put(':');
        bool is_null;
        Datum member = heap_getattr(&tuple, i + 1, descriptor, &is_null);
        if (is_null) {
            out.put("null");
        } else {
            const ValueWriter writer = choose_writer(attribute->atttypid);
            writer.write(out, member, writer);
        }
    }
    out.put('}');
    ReleaseTupleDesc(descriptor);
}

FmgrInfo* make_function(Oid id) {
    auto* function = static_cast<FmgrInfo*>(palloc(sizeof(FmgrInfo)));
    fmgr_info(id, function);
    return function;
}

WriteValue simple_way(Oid type) {
    switch (type) {
        case BOOLOID:
            return put_bool;
        case INT2OID:
            return put_int2;
        case INT4OID:
            return put_int4;
        case INT8OID:
            return put_int8;
        case FLOAT4OID:
            return put_float4_value;
        case FLOAT8OID:
            return put_float8_value;
        case NUMERICOID:
            return put_numeric_value;
        case TEXTOID:
        case VARCHAROID:
        case BPCHAROID:
            return put_text;
        case NAMEOID:
            return put_name;
        case UUIDOID:
            return put_uuid_value;
        case BYTEAOID:
            return put_bytea;
        case BITOID:
        case VARBITOID:
            return put_bits_value;
        case DATEOID:
            return put_date_value;
        case TIMESTAMPOID:
            return put_naive_timestamp;
        case TIMESTAMPTZOID:
            return put_utc_timestamp;
        case JSONOID:
            return put_json_text;
        case JSONBOID:
            return put_jsonb_value;
        default:
            return nullptr;
    }
}

void choose_array_writer(ValueWriter& writer, Oid element_type) {
    auto* element = static_cast<ValueWriter*>(palloc(sizeof(ValueWriter)));
    *element = choose_writer(element_type);
    writer.write = put_array_value;
    writer.element = element;
    get_typlenbyvalalign(element_type, &writer.element_length, &writer.element_by_value,
                         &writer.element_align);
}

// Types of users' own may have a cast to json, which to_json() then takes.
bool choose_cast(ValueWriter& writer) {
    if (writer.type < FirstNormalObjectId) {
        return false;
    }
    Oid function;
    if (find_coercion_pathway(JSONOID, writer.type, COERCION_EXPLICIT, &function) !=
            COERCION_PATH_FUNC ||
        !OidIsValid(function)) {
        return false;
    }
    writer.write = put_by_cast;
    writer.function = make_function(function);
    return true;
}

// Whether the type's text may depend on TimeZone or DateStyle, as ranges of times and users' types
// do.
bool may_show_times(Oid type) {
    switch (get_typtype(type)) {
        case TYPTYPE_RANGE:
        case TYPTYPE_MULTIRANGE:
            return true;
        case TYPTYPE_ENUM:
            return false;
        default:
            return type >= FirstNormalObjectId;
    }
}

}  // namespace

ValueWriter choose_writer(Oid type) {
    ValueWriter writer{};
    writer.type = type;
    writer.write = simple_way(type);
    if (writer.write != nullptr) {
        return writer;
    }
    check_stack_depth();
    writer.type = getBaseType(type);
    writer.write = simple_way(writer.type);
    if (writer.write != nullptr) {
        return writer;
    }
    const Oid element = get_element_type(writer.type);
    if (OidIsValid(element)) {
        choose_array_writer(writer, element);
    } else if (type_is_rowtype(writer.type)) {
        writer.write = put_composite_value;
    } else if (!choose_cast(writer)) {
        Oid function;
        bool is_varlena;
        getTypeOutputInfo(writer.type, &function, &is_varlena);
        writer.function = make_function(function);
        writer.write =
            may_show_times(writer.type) ? put_by_output_function_in_utc : put_by_output_function;
    }
    return writer;
}

ValueWriter choose_writer_of_utc(Oid type) {
    ValueWriter writer = choose_writer(type);
    if (writer.type == TIMESTAMPOID) {
        writer.write = put_utc_timestamp;
    }
    return writer;
}

bool put_value_fields(Arena& out, Datum value, const ValueWriter& writer, const Field& fields) {
    if (writer.type == JSONBOID) {
        return put_jsonb_fields(out, jsonb_bytes(value), fields);
    }
    Arena text = make_arena(1024);
    writer.write(text, value, writer);
    text.put('\0');
    Datum jsonb = DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
    return put_jsonb_fields(out, jsonb_bytes(jsonb), fields);
}

}  // namespace muster::json
