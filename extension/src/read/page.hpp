// Running a list's or an item's statement: one page of rows in order.
#pragma once

#include "read/request.hpp"
#include "read/statement.hpp"
#include "read/uuid_map.hpp"
#include "json/row.hpp"

namespace muster::read {

// Takes the rows of a page, skipping and stopping where the request says. What becomes of a row is
// up to whoever sets prepare() and take().
struct Page {
    Receiver base;  // must come first
    const Request* request;
    bool is_list;           // or an item, which has neither order nor cursor
    MemoryContext context;  // what outlives the statement goes here
    void (*prepare)(Page& self, TupleDesc descriptor);
    void (*take)(Page& self, TupleTableSlot* slot);

    std::int64_t skipped;
    std::int64_t taken;
    bool more;                  // a row came after the last one taken
    Cursor last;                // its keys; set only when the page is full
    UuidMap keys;               // distinct values of the table's child_key
    List<std::int32_t> groups;  // for each row the number of its key, or -1 if that is null

    void start(TupleDesc descriptor);
    bool row(TupleTableSlot* slot);

  private:
    AttrNumber order_attribute;  // of a list
    AttrNumber id_attribute;     // of a list
    AttrNumber key_attribute;    // when there are children

    void remember(TupleTableSlot* slot);
};

// Finds the page's rows: those of a list, or the one item that the request's filters name.
void run_page(Page& page, const Source& source);

// Sets up what all pages have. Lists live in the current memory context.
void init_page(Page& page, const Request& request, bool is_list, MemoryContext row_context);

// The cursor after the page, or null when nothing comes after it.
text* next_cursor(const Page& page);

// Adds the columns asked for to a row's members: the API's in its order, then users' own. A column
// of the same name as an included child gives way to that.
void add_columns(json::RowWriter& writer, TupleDesc descriptor, const Table& table,
                 const json::Field* fields, std::uint32_t children);

}  // namespace muster::read
