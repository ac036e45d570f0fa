-- One kind of objects more, which an older control process could not read.

COMMENT ON TABLE records.object IS
    'Kinds: 1 account, 2 grant, 3 radio, 4 service, 5 client, 6 binding, 7 contract, 8 drained gateway. The body of an account has its key';
