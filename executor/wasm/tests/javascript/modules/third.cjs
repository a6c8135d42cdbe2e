exports.x=1; exports.y={z:2};
