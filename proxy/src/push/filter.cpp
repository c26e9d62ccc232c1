// Comparing an event with what is wanted.
#include "push/filter.hpp"

#include <algorithm>

namespace muster::push {
namespace {

bool wants(const std::vector<std::string>& wanted, std::string_view value) {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
}

bool wants_type(const std::vector<std::string>& wanted, std::string_view type) {
    return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](std::string_view one) {
               return one.ends_with(".*") ? type.starts_with(one.substr(0, one.size() - 1))
                                          : type == one;
           });
}

}  // namespace

bool Filter::knows(std::string_view name) {
    return name == "event_type" || name == "aggregate_type" || name == "aggregate_id";
}

std::optional<std::string> Filter::add(std::string_view name, std::string value) {
    auto& values = name == "event_type"       ? event_types_
                   : name == "aggregate_type" ? aggregate_types_
                                              : aggregate_ids_;
    if (value.empty() || value.size() > longest_value) {
        return std::string(name) + " must have values of 1 to " + std::to_string(longest_value) +
               " bytes";
    }
    if (values.size() == most_values) {
        return std::string(name) + " must have at most " + std::to_string(most_values) + " values";
    }
    values.push_back(std::move(value));
    return std::nullopt;
}

std::optional<std::string> Filter::add_list(std::string_view name, std::string_view list) {
    for (;;) {
        const std::size_t comma = std::min(list.find(','), list.size());
        if (auto mistake = add(name, std::string(list.substr(0, comma)))) {
            return mistake;
        }
        if (comma == list.size()) {
            return std::nullopt;
        }
        list.remove_prefix(comma + 1);
    }
}

bool Filter::matches(const Event& event) const {
    return event.reset || (wants_type(event_types_, event.event_type) &&
                           wants(aggregate_types_, event.aggregate_type) &&
                           wants(aggregate_ids_, event.aggregate_id));
}

}  // namespace muster::push
