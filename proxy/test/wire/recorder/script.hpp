// Scripted conversations with a PostgreSQL server: the files *.conversation beside this folder.
//
// One command a line; `#` begins a comment. Words are separated by spaces; a text with spaces or
// escapes (\n \t \0 \xHH \\ \") stands in double quotes, and `"text" * 1000` is it a thousand
// times.
//
//   only postgres                  not through pgbouncer: what it would answer depends on its pool
//   mask TYPE | timed TYPE         see masks.hpp
//   session NAME                   what follows is of this connection; the first is "main"
//   startup [NAME VALUE ...]       protocol 3.0, user and database "recorder" unless given
//   protocol MAJOR MINOR [NAME VALUE ...]
//   Query SQL                      and so on: a message by its name in PostgreSQL's documentation,
//   Parse NAME SQL [OID ...]       its fields in order
//   Bind PORTAL STATEMENT [VALUE|null ...] [binary]
//   Describe|Close statement|portal NAME
//   Execute PORTAL [ROWS]          and Sync, Flush, CopyData TEXT, CopyDone, CopyFail TEXT,
//                                  FunctionCall OID [VALUE|null ...], Password TEXT, Terminate
//   raw TEXT                       bytes as they are
//   pieces N                       from here on writes have N bytes; 0: as many as can be
//   await TYPE [N]                 read up to the N-th message (1) of this type from here on
//   await byte | await end         read one byte that is no message; up to the end of the stream
//   expect TEXT                    the session has received it, or the conversation proves nothing
//   half-close | close | reset
//   cancel NAME                    a CancelRequest for this session, over a connection of its own
//   control SQL                    run by a superuser, straight on the server
//   wait SQL                       until it returns true there
//
// Messages are written together when the next command that is none needs them to be.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace muster::test {

struct Word {
    std::string text;
    bool quoted = false;
};

struct Command {
    int line = 0;
    std::vector<Word> words;  // at least one
    const std::string& name() const { return words[0].text; }
    // The text of this word, "" if there is none.
    std::string operator[](std::size_t index) const;
};

// Throws std::runtime_error with file and line for what cannot be read.
std::vector<Command> read_script(const std::filesystem::path& file);

// The bytes of a command that is a message, of startup, protocol and raw; false for another.
bool encode(const Command& command, std::string& bytes);

// The type byte of a message of the server by its name, such as ReadyForQuery; throws if there is
// no such message.
char server_type(const std::string& name);
// Its name, for people.
std::string server_name(char type);

}  // namespace muster::test
