// jsonb made of the input, written whole and by paths beside a plain implementation, with as much
// of a stack and of room for the document as the input says.
#include <algorithm>

#include "input.hpp"
#include "plain.hpp"
#include "stored.hpp"
#include "writer.hpp"

using fuzz::Input;
using fuzz::Value;
using fuzz::Writer;

namespace {

// What a value may still come to, so that one input takes no longer than others.
struct Budget {
    std::size_t values = 600;
    std::size_t bytes = 200'000;
};

// Names that paths and values have in common.
std::string name(Input& input) {
    static const char* const names[] = {"a", "b",   "c",   "0", "1",  "2",  "01",
                                        "",  "a b", "x.y", ",", "\"", "33", "key"};
    const unsigned which = input.below(18);
    return which < 14 ? names[which] : input.take(input.below(12));
}

std::string text(Input& input, Budget& budget) {
    const std::string once = input.take(input.below(40));
    std::string all = once;
    for (unsigned left = input.below(16) == 0 ? input.below(3000) : 0;
         left > 0 && !once.empty() && budget.bytes > once.size(); left--) {
        all += once;
        budget.bytes -= once.size();
    }
    return all;
}

// Without zeros in front, and zero without a sign, as the server has numbers.
std::string number(Input& input) {
    std::string digits = std::to_string(input.number<std::uint16_t>());
    digits.append(input.below(16) == 0 ? input.below(300) : input.below(8), '0');
    const std::size_t scale = input.below(16) == 0 ? input.below(300) : input.below(12);
    digits.insert(0, digits.size() > scale ? 0 : scale + 1 - digits.size(), '0');
    std::string whole = digits.substr(0, digits.size() - scale);
    const std::string fraction = digits.substr(digits.size() - scale);
    whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size() - 1));
    const bool is_zero = digits.find_first_not_of('0') == std::string::npos;
    return (input.below(2) == 1 && !is_zero ? "-" : "") + whole + (scale > 0 ? "." : "") + fraction;
}

bool before(const std::string& one, const std::string& other) {
    return one.size() != other.size() ? one.size() < other.size() : one < other;
}

Value value(Input& input, Budget& budget, int depth);

Value object(Input& input, Budget& budget, int depth, unsigned count) {
    Value made{Value::Kind::Object, {}, {}, {}};
    for (unsigned i = 0; i < count; i++) {
        made.keys.push_back(count > 20 ? std::to_string(i) : name(input));
    }
    std::sort(made.keys.begin(), made.keys.end(), before);
    made.keys.erase(std::unique(made.keys.begin(), made.keys.end()), made.keys.end());
    for (std::size_t i = 0; i < made.keys.size(); i++) {
        made.children.push_back(value(input, budget, depth - 1));
    }
    return made;
}

Value array(Input& input, Budget& budget, int depth, unsigned count) {
    Value made{Value::Kind::Array, {}, {}, {}};
    for (unsigned i = 0; i < count; i++) {
        made.children.push_back(value(input, budget, depth - 1));
    }
    return made;
}

// The value within so many arrays or objects.
Value nested(Value inner, unsigned levels, bool in_objects) {
    for (; levels > 0; levels--) {
        Value outer{in_objects ? Value::Kind::Object : Value::Kind::Array, {}, {}, {}};
        if (in_objects) {
            outer.keys.emplace_back("a");
        }
        outer.children.push_back(std::move(inner));
        inner = std::move(outer);
    }
    return inner;
}

Value value(Input& input, Budget& budget, int depth) {
    if (budget.values == 0 || input.done()) {
        return {};
    }
    budget.values--;
    switch (input.below(depth > 0 ? 12 : 6)) {
        case 0:
            return {};
        case 1:
            return {Value::Kind::False, {}, {}, {}};
        case 2:
            return {Value::Kind::True, {}, {}, {}};
        case 3:
            return {Value::Kind::Number, number(input), {}, {}};
        case 4:
        case 5:
            return {Value::Kind::String, text(input, budget), {}, {}};
        case 6:
        case 7:
            return array(input, budget, depth, input.below(6));
        case 8:
        case 9:
            return object(input, budget, depth, input.below(6));
        case 10: {
            const unsigned count = input.below(150);
            return input.below(2) == 0 ? array(input, budget, 1, count)
                                       : object(input, budget, 1, count);
        }
        default: {
            const unsigned levels = input.below(200);
            const bool in_objects = input.below(2) == 0;
            return nested(value(input, budget, depth - 1), levels, in_objects);
        }
    }
}

std::vector<fuzz::Path> some_paths(Input& input) {
    std::vector<fuzz::Path> paths(1 + input.below(4));
    for (fuzz::Path& path : paths) {
        for (unsigned left = 1 + input.below(4); left > 0; left--) {
            path.push_back(name(input));
        }
    }
    return paths;
}

std::string fields_of(const std::vector<fuzz::Path>& paths) {
    std::string fields;
    for (const fuzz::Path& path : paths) {
        fields += fields.empty() ? "" : ",";
        for (std::size_t i = 0; i < path.size(); i++) {
            fields += i > 0 ? ".\"" : "\"";
            for (char c : path[i]) {
                fields += c == '"' ? "\"\"" : std::string(1, c);
            }
            fields += '"';
        }
    }
    return fields;
}

// What came of it is the text, or an error for which there was a reason.
void check(const char* what, const fuzz::Result& got, const std::optional<std::string>& wanted,
           bool may_be_too_deep) {
    if (got.kind != fuzz::Result::Kind::Refused) {
        fuzz::expect(what, got.kind == fuzz::Result::Kind::Nothing ? "nothing" : got.text,
                     wanted.value_or("nothing"));
        if (got.text.size() > fuzz::size_limit) {
            fuzz::fail(what, "a text above the limit", "an error");
        }
        return;
    }
    if (fuzz::refusal == "stack depth limit exceeded" && may_be_too_deep) {
        return;
    }
    // Room is made for more than is written. What is thrown away again counts too: names that are
    // written before there turns out to be nothing of them.
    const std::size_t most = wanted.value_or("").size() + 16 * 1024;
    const bool is_size =
        fuzz::refusal == "the JSON document is too large" || fuzz::refusal == "out of memory";
    if (!is_size || most <= fuzz::size_limit) {
        fuzz::fail(what, fuzz::refusal, wanted.value_or("nothing"));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    const std::size_t capacity = 1 + input.below(512);
    const unsigned misalignment = input.below(4);
    const bool short_numbers = input.below(2) == 1;
    fuzz::stack_limit = input.below(3) == 0 ? 2000 + 16 * input.below(4096) : 0;
    fuzz::size_limit = input.below(4) == 0 ? 16 * 1024 + input.below(65536) : fuzz::largest_limit;
    const std::vector<fuzz::Path> paths = some_paths(input);
    const std::string fields = fields_of(paths);
    Budget budget;
    const Value document = value(input, budget, 6);

    const fuzz::StoredJsonb stored(document, misalignment, short_numbers);
    const std::string whole = fuzz::plain_json(document);
    const auto part = fuzz::plain_project(document, paths, false);
    const auto projected = fuzz::plain_project(document, paths, true);
    // Whole documents are read however deep they are, unless their bytes are not aligned.
    const bool may_be_too_deep = fuzz::stack_limit != 0;
    for (const Writer* writer : {&fuzz::fast, &fuzz::portable}) {
        check("jsonb", fuzz::write([&] { return writer->jsonb(capacity, stored.container()); }),
              whole, may_be_too_deep && misalignment != 0);
        const auto by_fields = [&](bool always) {
            return fuzz::write(
                [&] { return writer->jsonb_fields(capacity, stored.container(), fields, always); });
        };
        check("fields of a jsonb", by_fields(false), part, may_be_too_deep);
        check("fields of a document", by_fields(true), projected, may_be_too_deep);
    }
    return 0;
}
