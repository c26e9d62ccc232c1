// Which events a client wants.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "push/event.hpp"

namespace muster::push {

class Filter {
  public:
    static constexpr std::size_t most_values = 64;     // of one kind
    static constexpr std::size_t longest_value = 512;  // bytes

    // Whether `name` is one of event_type, aggregate_type and aggregate_id.
    static bool knows(std::string_view name);
    // Adds a value, one of those that the event's must be, to the kind `name`, which it knows. An
    // event_type that ends in ".*" stands for all that begin so. Returns what is wrong with it.
    std::optional<std::string> add(std::string_view name, std::string value);
    // The same for a list separated by commas.
    std::optional<std::string> add_list(std::string_view name, std::string_view list);

    // Events that have one of the values of each kind that has any. Resets are for everybody.
    bool matches(const Event& event) const;

  private:
    std::vector<std::string> event_types_;
    std::vector<std::string> aggregate_types_;
    std::vector<std::string> aggregate_ids_;
};

}  // namespace muster::push
