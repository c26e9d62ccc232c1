// What two recordings of one conversation may differ in, and why.
//
//   BackendKeyData         its process id and key: another process, a random key
//   NotificationResponse   the process id of the session that notified, its first four bytes
//   RowDescription         the OIDs of tables: those of a conversation are made anew each time
//   mask TYPE              in a conversation: the bodies of all messages of this type, for what is
//                          new each time by its nature (WAL positions); the file says which
//   timed TYPE             likewise: messages of this type come when the server's clock says, so
//   that
//                          their number and place are left out (a WAL sender's keepalives)
//
// Types, order, number and, but for `mask`, lengths of all other messages have to be the same.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace muster::test {

struct Masks {
    std::set<char> bodies;
    std::set<char> timed;

    // The body of a message of the server as it is compared.
    std::string apply(char type, std::string_view body) const {
        std::string masked(body);
        if (bodies.contains(type))
            return "masked";
        if (type == 'K')
            masked.replace(0, 8, "pid, key");
        if (type == 'A')
            masked.replace(0, 4, "pid.");
        if (type == 'T')
            mask_tables(masked);
        return masked;
    }

  private:
    // A field is its name, closed by a NUL, and 18 bytes that begin with its table's OID.
    static void mask_tables(std::string& fields) {
        for (auto at = fields.find('\0', 2); at < fields.size(); at = fields.find('\0', at + 19)) {
            if (fields.compare(at + 1, 4, std::string_view("\0\0\0\0", 4)) != 0)
                fields.replace(at + 1, 4, "oid.");
        }
    }
};

}  // namespace muster::test
