'use strict';
// util.types: what a value is, whatever it says of itself.

const { classOf } = host;
const is = (name) => (x) => classOf(x) === name;
const TYPED = new Set(['Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array', 'BigInt64Array', 'BigUint64Array', 'Float16Array', 'Float32Array', 'Float64Array']);
const isTypedArray = (x) => TYPED.has(classOf(x));
const BOXED = new Set(['Number', 'String', 'Boolean', 'Symbol', 'BigInt']);

module.exports = {
  isArgumentsObject: is('Arguments'),
  isArrayBuffer: is('ArrayBuffer'),
  isAnyArrayBuffer: (x) => ['ArrayBuffer', 'SharedArrayBuffer'].includes(classOf(x)),
  isSharedArrayBuffer: is('SharedArrayBuffer'),
  isArrayBufferView: (x) => ArrayBuffer.isView(x),
  isAsyncFunction: (x) => ['AsyncFunction', 'AsyncGeneratorFunction'].includes(classOf(x)),
  isBigInt64Array: is('BigInt64Array'),
  isBigUint64Array: is('BigUint64Array'),
  isBooleanObject: is('Boolean'),
  isBigIntObject: is('BigInt'),
  isBoxedPrimitive: (x) => BOXED.has(classOf(x)),
  isDataView: is('DataView'),
  isDate: is('Date'),
  isExternal: () => false,
  isFloat32Array: is('Float32Array'),
  isFloat64Array: is('Float64Array'),
  isGeneratorFunction: (x) => ['GeneratorFunction', 'AsyncGeneratorFunction'].includes(classOf(x)),
  isGeneratorObject: is('Generator'),
  isInt8Array: is('Int8Array'),
  isInt16Array: is('Int16Array'),
  isInt32Array: is('Int32Array'),
  isMap: is('Map'),
  isMapIterator: is('Map Iterator'),
  isModuleNamespaceObject: is('Module'),
  isNativeError: is('Error'),
  isNumberObject: is('Number'),
  isPromise: is('Promise'),
  isProxy: (x) => host.proxy(x) !== undefined,
  isRegExp: is('RegExp'),
  isSet: is('Set'),
  isSetIterator: is('Set Iterator'),
  isStringObject: is('String'),
  isSymbolObject: is('Symbol'),
  isTypedArray,
  isUint8Array: is('Uint8Array'),
  isUint8ClampedArray: is('Uint8ClampedArray'),
  isUint16Array: is('Uint16Array'),
  isUint32Array: is('Uint32Array'),
  isWeakMap: is('WeakMap'),
  isWeakSet: is('WeakSet'),
};
