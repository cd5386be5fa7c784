//! ITU-T G.711: the two logarithmic laws of the telephone network, by table.
